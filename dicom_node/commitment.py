"""The records of storage commitment that scanners ask of this node; they cross the walls between rooms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """An instance that a storage commitment request names (PS3.4 Table J.3-1)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequest:
    """A scanner's wish that this node commit to instances (PS3.4 J.3.2).

    Attributes
    ----------
    references : tuple of Reference
        At least one; each SOP Instance UID once.
    """

    transaction_uid: str
    calling_ae: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class CommitmentVerdict:
    """What became of one instance of a request: ``failure`` is its Failure Reason (0008,1197), 0 where committed."""

    reference: Reference
    failure: int
