"""Showing whose images a series holds, to whom the settings let; each look is in the audit trail before it is one."""

from pathlib import Path

from dicom_node.errors import InputError
from dicom_node.ledger import browse, looks
from dicom_node.ledger.users import Role
from dicom_node.series.patient import Patient, read_patient
from worker.wiring import Node


def may_look(node: Node, role: str) -> bool:
    """Whether the settings let this role see patients."""
    least = node.settings.console.patient_data
    return least != "nobody" and Role(role).reaches(Role(least))


def look(node: Node, series_id: int, role: str, reason: str) -> Patient:
    """Whose images a series holds, read from one of its files now.

    Raises
    ------
    InputError
        The settings do not let this role, or none of its files is here any more.
    LedgerError
        The look cannot be entered in the audit trail, so it is none.
    """
    if not may_look(node, role):
        least = node.settings.console.patient_data
        whom = "to nobody" if least == "nobody" else f"to the role {least} and higher ones alone"
        raise InputError(f"patients are shown {whom}: [console] patient_data says so")
    paths = (Path(item.path) for item in browse.instances_of(node.database, series_id))
    kept = next((path for path in paths if path.is_file()), None)
    if kept is None:
        raise InputError("the received images are no longer on this node: ask the PACS whose they are")
    found = read_patient(kept)
    looks.patient_viewed(node.database, series_id, reason)
    return found
