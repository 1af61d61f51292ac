"""Everything the engine raises on purpose.

EngineError
├── InvalidVolume      the caller's fault: this volume cannot be restored; do not retry
├── UnknownNetwork     the caller's fault: no network of that name; do not retry
├── WeightsUnavailable the installation's fault: weights missing, damaged or for another network; retry once mended
└── OutOfMemory        nobody's fault: retry with a smaller window or on the CPU
"""


class EngineError(Exception):
    """Root of the engine's errors. ``retryable`` says whether the same call may succeed later."""

    retryable = False


class InvalidVolume(EngineError):
    """The volume or file given cannot be restored."""


class UnknownNetwork(EngineError):
    """No network of that name is registered."""


class WeightsUnavailable(EngineError):
    """The weights are missing, damaged, or made for another network."""

    retryable = True


class OutOfMemory(EngineError):
    """The device has not enough memory for one window."""

    retryable = True
