"""Storing instances by STOW-RS (PS3.18 10.5). What is sent are the stored bytes.

dicomweb-client would encode every data set anew, and hand over nothing of an answer that says what failed.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from uuid import uuid4

from pydicom.dataset import Dataset
from requests import Response, Session

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, StorageError
from dicom_node.records import DerivedInstance, InstanceOutcome
from dicom_node.send.web import limits, refusal, session
from dicom_node.settings import SendSettings
from dicom_node.status import PROCESSING_FAILURE, SUCCESS

# A batch: what memory holds, and what a resume sends twice at most.
MOST_INSTANCES = 25
MOST_BYTES = 16 << 20

ALL_STORED, SOME_STORED, NONE_STORED, TOO_LARGE = 200, 202, 409, 413


def store(
    destination: WebDestination,
    _calling_ae: str,
    instances: Sequence[DerivedInstance],
    settings: SendSettings,
    on_outcome: Callable[[InstanceOutcome], None],
) -> None:
    """Store instances in batches; where the service takes no body of that size, in smaller ones.

    Parameters
    ----------
    on_outcome : callable
        Called for every instance of a batch that was answered. What it raises ends the session.

    Raises
    ------
    DestinationError
        The service cannot be reached, breaks off, or cannot take it now: outcomes so far were reported.
    DestinationRefused
        It refuses us, or everything that is to be sent.
    StorageError
        A stored file cannot be read.
    """
    rest, most_bytes = list(instances), MOST_BYTES
    if not rest:
        return
    with session(destination, settings) as web:
        while rest:
            batch = _read(rest[:MOST_INSTANCES], most_bytes)
            answer = _post(web, destination, batch, settings)
            if answer.status_code == TOO_LARGE and len(batch) > 1:
                most_bytes = sum(map(len, batch)) // 2
                continue
            for outcome in _outcomes(destination, answer, rest[: len(batch)]):
                on_outcome(outcome)
            rest = rest[len(batch) :]


def _read(instances: Sequence[DerivedInstance], most_bytes: int) -> list[bytes]:
    """The first files that together are no larger than that, one at least."""
    try:
        sizes = list(accumulate(item.path.stat().st_size for item in instances))
        count = max(1, sum(size <= most_bytes for size in sizes))
        return [item.path.read_bytes() for item in instances[:count]]
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be read: {error.strerror}") from error


def _post(web: Session, destination: WebDestination, parts: Sequence[bytes], settings: SendSettings) -> Response:
    """One Store transaction, parts of application/dicom (PS3.18 8.6.1, 10.5.1)."""
    boundary = uuid4().hex
    opening = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(piece for part in parts for piece in (opening, part, b"\r\n")) + f"--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    return web.post(f"{destination.url}/studies", data=body, headers=headers, timeout=limits(settings))


def _outcomes(destination: WebDestination, answer: Response, batch: Sequence[DerivedInstance]) -> list[InstanceOutcome]:
    """What the service says of every instance of a batch; None of one that it does not name."""
    if answer.status_code not in {ALL_STORED, SOME_STORED, NONE_STORED}:
        raise refusal(destination, answer)
    told = _told(answer)
    if not told and answer.status_code != ALL_STORED:
        raise DestinationError(
            f"DICOMweb {destination.name} answered HTTP {answer.status_code} and does not say of which instances"
        )
    unnamed = None if told else SUCCESS
    return [InstanceOutcome(item.sop_instance_uid, told.get(item.sop_instance_uid, unnamed)) for item in batch]


def _told(answer: Response) -> dict[str, int]:
    """SOP Instance UID to status, of a Store Instances Response Module (PS3.18 Annex I); empty where it is none."""
    try:
        content = answer.json()
        found = [Dataset.from_json(item) for item in (content if isinstance(content, list) else [content])]
        stored = {
            _uid(item): int(item.get("WarningReason") or SUCCESS) for item in _items(found, "ReferencedSOPSequence")
        }
        failed = {
            _uid(item): int(item.get("FailureReason") or PROCESSING_FAILURE)
            for item in _items(found, "FailedSOPSequence")
        }
    except Exception:  # noqa: BLE001 # what a stranger sends raises anything in pydicom
        return {}
    return stored | failed


def _items(found: Sequence[Dataset], keyword: str) -> list[Dataset]:
    return [item for data_set in found for item in data_set.get(keyword) or ()]


def _uid(item: Dataset) -> str:
    return str(item.ReferencedSOPInstanceUID)
