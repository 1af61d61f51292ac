"""Everything the engine raises on purpose.

EngineError
├── InvalidVolume      the caller's fault: this volume cannot be restored; do not retry
├── UnknownNetwork     the caller's fault: no network of that name; do not retry
├── WeightsUnavailable the installation's fault: weights missing, damaged or for another network; retry once mended
├── OutOfMemory        the machine is too small: smaller tiles and the CPU were tried; do not retry
├── DeviceLost         the GPU's fault: it does not answer or is not there; retry in a new process
└── ImplausibleResult  the network's fault: its output is not a CT; a person must look
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
    """Neither the device nor the CPU has enough memory for the smallest tile."""


class DeviceLost(EngineError):
    """The GPU does not answer, and will not again in this process."""

    retryable = True


class ImplausibleResult(EngineError):
    """The network's output cannot be voxels."""
