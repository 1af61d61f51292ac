"""Everything the worker raises on purpose, besides what comes from its rooms.

WorkerError
├── BrokerError  the broker's fault: nothing is lost, the clock rings again
└── NoticeError  a notice did not reach whom it was for: it is sent again later
"""


class WorkerError(Exception):
    """Root of the worker's errors. ``retryable`` says whether the same call may succeed later."""

    retryable = False


class BrokerError(WorkerError):
    """No broker answers."""

    retryable = True


class NoticeError(WorkerError):
    """A notice could not be sent."""

    retryable = True
