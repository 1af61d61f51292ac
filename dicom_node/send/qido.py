"""Asking a DICOMweb service by QIDO-RS which instances of a series it holds (PS3.18 10.6)."""

from collections.abc import Sequence
from typing import Any

from dicomweb_client import DICOMwebClient
from requests import Session

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError
from dicom_node.records import DerivedSeries
from dicom_node.send.web import limits, session
from dicom_node.settings import SendSettings
from dicom_node.uid import derived_uid

SOP_INSTANCE_UID = "00080018"
NOBODYS_UID = derived_uid("an instance that is nowhere")


def held(
    destination: WebDestination, _calling_ae: str, result: DerivedSeries, settings: SendSettings
) -> frozenset[str]:
    """SOP Instance UIDs that a service lists of the series of a result.

    Raises
    ------
    DestinationError
        The service cannot be reached, breaks off, or answers with a failure; DestinationRefused: it offers no query.
    """
    with session(destination, settings) as web:
        client = _client(web, destination, settings)
        found = (_of_series(client, destination, result.study_instance_uid, uid) for uid in result.series_uids)
        return frozenset().union(*found)


def echo(destination: WebDestination, _calling_ae: str, settings: SendSettings) -> None:
    """Ask for an instance that is nowhere: the service answers, and knows us. Errors as from `held`."""
    with session(destination, settings) as web:
        client = _client(web, destination, settings)
        _uids(destination, client.search_for_instances(search_filters={"SOPInstanceUID": NOBODYS_UID}, limit=1))


def _client(web: Session, destination: WebDestination, settings: SendSettings) -> DICOMwebClient:
    client = DICOMwebClient(destination.url, session=web, timeout=limits(settings))
    client.set_http_retry_params(retry=False)  # we try again ourselves, later
    return client


def _of_series(client: DICOMwebClient, destination: WebDestination, study_uid: str, series_uid: str) -> set[str]:
    """Page by page, for a service may answer as few at once as it likes, until one tells nothing new."""
    found: set[str] = set()
    while True:
        page = client.search_for_instances(study_uid, series_uid, fields=["SOPInstanceUID"], offset=len(found) or None)
        new = _uids(destination, page) - found
        if not new:
            return found
        found |= new


def _uids(destination: WebDestination, page: Sequence[Any]) -> set[str]:
    try:
        return {str(row[SOP_INSTANCE_UID]["Value"][0]) for row in page}
    except (KeyError, IndexError, TypeError) as error:
        raise DestinationError(
            f"DICOMweb {destination.name} answers a query with something that is no list of instances"
        ) from error
