"""Files in the quarantine of a node, for tests."""

from datetime import UTC, datetime

from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.receive.part10 import encode_file, read_identity
from tests.unit.dicom_node.receive.harness import ct_slice, encoded
from worker.wiring import Node

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REASON = "the data set cannot be parsed (KeyError): check how the sender encodes it, then send it again"


def set_aside(node: Node, number: int = 1, *, cut: bool = False, reason: str = REASON) -> str:
    """Put an image into quarantine, whole as an older version may have done, or cut short; returns its digest."""
    data_set = encoded(ct_slice(number))
    identity = read_identity(data_set, ExplicitVRLittleEndian)
    content = encode_file(
        data_set[:-9] if cut else data_set,
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=identity.transfer_syntax_uid,
        calling_ae="CT1",
    )
    path = node.spool.quarantine(
        content, reason, calling_ae="CT1", peer_ip="10.0.0.1", transfer_syntax_uid="1.2.840.10008.1.2.1", now=NOON
    )
    return path.stem
