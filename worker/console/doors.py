"""Every address of the console, and the role it takes to enter: what is not in this table is not served."""

from dicom_node.ledger.users import Role
from worker.console import acting, api, entering, pages, token_pages
from worker.console.api_doors import API
from worker.console.door import Door
from worker.console.entering import FIRST, FORM_COOKIE, LOGIN

__all__ = ["DOORS", "FIRST", "FORM_COOKIE", "LOGIN", "Door"]


VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

DOORS = (
    Door("GET", "/", pages.now, VIEWER),
    Door("GET", "/series", pages.series, VIEWER),
    Door("GET", "/series/{series:int}", pages.detail, VIEWER),
    Door("GET", "/series/{series:int}/{job:int}/{plane}-{kind}.png", pages.picture, VIEWER, is_data=True),
    Door("GET", "/held", pages.held, VIEWER),
    Door("GET", "/workers", pages.workers_page, VIEWER),
    Door("GET", "/partners", pages.partners, VIEWER),
    Door("GET", "/audit", pages.audit, VIEWER),
    Door("GET", "/about", pages.about, VIEWER),
    Door("POST", "/series/{series:int}/{act}", acting.act, OPERATOR),
    Door("POST", "/pause", acting.pause, OPERATOR),
    Door("POST", "/resume", acting.resume, OPERATOR),
    Door("POST", "/partners/{name}/echo", acting.echo, OPERATOR),
    Door("POST", "/commitments/{request:int}/report", acting.report, OPERATOR),
    Door("POST", "/audit/verify", acting.verify, ADMIN),
    Door("GET", FIRST, entering.ask_first, None),
    Door("POST", FIRST, entering.make_first, None),
    Door("GET", LOGIN, entering.ask, None),
    Door("POST", LOGIN, entering.login, None),
    Door("POST", "/logout", entering.logout, VIEWER),
    Door("GET", "/tokens", token_pages.tokens_page, VIEWER),
    Door("POST", "/tokens", token_pages.add, VIEWER),
    Door("POST", "/tokens/{token:int}/revoke", token_pages.revoke, VIEWER),
    *API,
    Door("GET", "/metrics", api.metrics_page, None, is_data=True),
    Door("GET", "/healthz", api.healthy, None, is_data=True),
    Door("GET", "/readyz", api.ready, None, is_data=True),
)
