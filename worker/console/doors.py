"""Every address of the console, and the role it takes to enter: what is not in this table is not served."""

from dicom_node.ledger.users import Role
from worker.console import (
    about,
    acting,
    api,
    entering,
    holding,
    notice_pages,
    opinions,
    own,
    pages,
    patient,
    people,
    sent_by_issuer,
    token_pages,
    trying,
)
from worker.console.api_doors import API
from worker.console.door import Door
from worker.console.entering import FIRST, FORM_COOKIE, LOGIN
from worker.console.office import RETURN
from worker.console.own import ME

__all__ = ["DOORS", "FIRST", "FORM_COOKIE", "LOGIN", "ME", "Door"]


VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

DOORS = (
    Door("GET", "/", pages.now, VIEWER),
    Door("GET", "/series", pages.series, VIEWER),
    Door("GET", "/series/{series:int}", pages.detail, VIEWER),
    Door("GET", "/series/{series:int}/{job:int}/{plane}-{kind}.png", pages.picture, VIEWER, is_data=True),
    Door("GET", "/held", holding.held, VIEWER),
    Door("GET", "/workers", pages.workers_page, VIEWER),
    Door("GET", "/partners", pages.partners, VIEWER),
    Door("GET", "/audit", pages.audit, VIEWER),
    Door("GET", "/notices", notice_pages.notices_page, VIEWER),
    Door("POST", "/series/{series:int}/patient", patient.show, VIEWER),  # whom [console] patient_data lets
    Door("GET", "/about", about.about, VIEWER),
    Door("GET", "/about/sbom.json", about.bill, VIEWER, is_data=True),
    Door("GET", "/rules", trying.rules, VIEWER),
    Door("POST", "/rules/try", trying.attempt, OPERATOR, takes_file=True),
    Door("GET", "/feedback", opinions.feedback_page, VIEWER),
    Door("POST", "/series/{series:int}/{job:int}/feedback", opinions.give, VIEWER),
    Door("POST", "/series/{series:int}/{act}", acting.act, OPERATOR),
    Door("POST", "/acts/{act}", acting.act_on_many, OPERATOR),
    Door("POST", "/series/{series:int}/{job:int}/download", holding.download, OPERATOR),
    Door("POST", "/quarantine/{item}/{act}", holding.handle, OPERATOR),
    Door("POST", "/workers/drain", acting.drain, OPERATOR),
    Door("POST", "/workers/undrain", acting.undrain, OPERATOR),
    Door("POST", "/partners/{name}/pause", acting.pause_destination, OPERATOR),
    Door("POST", "/partners/{name}/resume", acting.resume_destination, OPERATOR),
    Door("POST", "/pause", acting.pause, OPERATOR),
    Door("POST", "/resume", acting.resume, OPERATOR),
    Door("POST", "/partners/{name}/echo", acting.echo, OPERATOR),
    Door("POST", "/commitments/{request:int}/report", acting.report, OPERATOR),
    Door("POST", "/notices/{name}/trial", notice_pages.trial, ADMIN),
    Door("POST", "/audit/verify", acting.verify, ADMIN),
    Door("POST", "/audit/export", acting.export, ADMIN),
    Door("GET", FIRST, entering.ask_first, None),
    Door("POST", FIRST, entering.make_first, None),
    Door("GET", LOGIN, entering.ask, None),
    Door("POST", LOGIN, entering.login, None),
    Door("POST", "/logout", entering.logout, VIEWER),
    Door("GET", sent_by_issuer.BEGIN, sent_by_issuer.begin, None),
    Door("GET", RETURN, sent_by_issuer.back, None),
    Door("GET", ME, own.me, VIEWER),
    Door("POST", f"{ME}/password", own.password, VIEWER),
    Door("POST", f"{ME}/sessions", own.end_sessions, VIEWER),
    Door("GET", "/users", people.everyone, ADMIN),
    Door("POST", "/users", people.add, ADMIN),
    Door("GET", "/users/{name}", people.one, ADMIN),
    Door("POST", "/users/{name}/{act}", people.act, ADMIN),
    Door("GET", "/tokens", token_pages.tokens_page, VIEWER),
    Door("POST", "/tokens", token_pages.add, VIEWER),
    Door("POST", "/tokens/{token:int}/revoke", token_pages.revoke, VIEWER),
    *API,
    Door("GET", "/metrics", api.metrics_page, None, is_data=True),
    Door("GET", "/healthz", api.healthy, None, is_data=True),
    Door("GET", "/readyz", api.ready, None, is_data=True),
)
