"""What is wanted of a job beside the settings: rules make this record, the ledger keeps it, the worker follows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What a rule wants of a job; None is as the settings have it when the time comes.

    Attributes
    ----------
    network : str or None
        Name of the network.
    target_spacing_mm : float or None
        Wanted distance of thin slices.
    destinations : tuple of str or None
        Names of those that get the result.
    """

    network: str | None = None
    target_spacing_mm: float | None = None
    destinations: tuple[str, ...] | None = None
