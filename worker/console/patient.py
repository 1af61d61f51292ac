"""The patient of a series, shown once to whom the settings let. No other page and no address says anything of them."""

from starlette.responses import Response

from dicom_node.errors import InputError
from dicom_node.ledger import browse
from worker import patients
from worker.console.asked import Asked
from worker.console.office import Console, page, problem


def show(console: Console, asked: Asked) -> Response:
    """The page, which no browser keeps: every answer of the console says no-store."""
    number, role = asked.numbers["series"], asked.session.role if asked.session else ""
    if not patients.may_look(console.node, role):
        return problem(console, asked, 403, "[console] patient_data does not let you see patients.")
    if browse.entry(console.node.database, number) is None:
        raise InputError(f"there is no series {number}")
    found = patients.look(console.acting(asked), number, role, asked.reason)
    return page(console, asked, "patient.html", number=number, facts=found.facts)
