"""Asking a PACS by UID which instances of a series it holds (C-FIND, PS3.4 C.6.2)."""

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined] # made at import

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError
from dicom_node.records import DerivedSeries
from dicom_node.send.association import association
from dicom_node.settings import SendSettings
from dicom_node.status import SUCCESS

PENDING = frozenset({0xFF00, 0xFF01})


def stored_instances(
    destination: Destination, calling_ae: str, study_uid: str, series_uid: str, settings: SendSettings
) -> frozenset[str]:
    """SOP Instance UIDs of one series in a PACS; empty where it does not know the series.

    Raises
    ------
    DestinationError
        The PACS cannot be reached, breaks off, or answers with a failure; DestinationRefused: it offers us no query.
    """
    question = Dataset()
    question.QueryRetrieveLevel = "IMAGE"
    question.StudyInstanceUID = study_uid
    question.SeriesInstanceUID = series_uid
    question.SOPInstanceUID = ""
    found = set()
    final: int | None = None
    contexts = [build_context(StudyRootQueryRetrieveInformationModelFind)]
    with association(destination, calling_ae, contexts, settings) as link:
        for status, answer in link.send_c_find(question, StudyRootQueryRetrieveInformationModelFind):
            final = status.get("Status")
            if final in PENDING and answer is not None and answer.get("SeriesInstanceUID", series_uid) == series_uid:
                found.add(str(answer.get("SOPInstanceUID", "")))
    if final != SUCCESS:
        reason = "broke off" if final is None else f"answered 0x{final:04X}"
        raise DestinationError(f"PACS {destination.name} {reason} when asked what it holds of a derived series")
    return frozenset(found - {""})


def held(destination: Destination, calling_ae: str, result: DerivedSeries, settings: SendSettings) -> frozenset[str]:
    """SOP Instance UIDs that a PACS lists of the series of a result; errors as from `stored_instances`."""
    study = result.study_instance_uid
    found = (stored_instances(destination, calling_ae, study, uid, settings) for uid in result.series_uids)
    return frozenset().union(*found)
