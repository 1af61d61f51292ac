"""Everything the node raises on purpose.

NodeError
├── InputError             the sender's fault: this input will never work; held or quarantined, no retry
│   ├── UnreadableInstance a data set that cannot be parsed or decoded
│   ├── RequestRefused     a storage commitment request that is not taken; it knows its status
│   ├── GeometryError      slices that do not form one regular stack
│   └── NotHere            what a person or program names does not exist
├── ConformanceError       our fault: what we made breaks the standard; nothing leaves; no retry
├── DestinationError       the PACS's fault or the network's; retry later
│   └── DestinationRefused the PACS said no for good (AE title, presentation context, status Cxxx); an admin must act
├── RepositoryError        the audit repository's fault or the network's; retry later
├── StorageError           the disk's fault; retry later
├── LedgerError            the database's fault; retry later
│   └── StaleFence         another worker owns this job now: drop the work silently
└── SettingsError          the admin's fault: start is refused with the key and the fix
"""


class NodeError(Exception):
    """Root of the node's errors. ``retryable`` says whether the same call may succeed later."""

    retryable = False


class InputError(NodeError):
    """What was sent cannot be processed."""


class UnreadableInstance(InputError):
    """One data set cannot be parsed or its pixels cannot be decoded."""


class NotHere(InputError):
    """What a person or a program names does not exist."""


class RequestRefused(InputError):
    """A request is not taken; ``status`` answers it (PS3.7 10.1.4.1.10)."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class GeometryError(InputError):
    """The slices do not form one regular stack."""


class ConformanceError(NodeError):
    """A derived object breaks the standard and must not leave."""


class DestinationError(NodeError):
    """A PACS could not be reached or answered with a failure that may pass."""

    retryable = True


class DestinationRefused(DestinationError):
    """A PACS refused for good."""

    retryable = False


class RepositoryError(NodeError):
    """The audit repository could not be reached, or broke off."""

    retryable = True


class StorageError(NodeError):
    """The spool or result folder could not be written."""

    retryable = True


class LedgerError(NodeError):
    """The ledger could not be read or written."""

    retryable = True


class StaleFence(LedgerError):
    """The job was claimed by someone else meanwhile."""

    retryable = False


class SettingsError(NodeError):
    """The settings cannot be used; the sentence names the key and the fix."""
