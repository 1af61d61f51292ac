"""What is wanted of a job beside the settings: rules or people say it, the ledger keeps it, the worker follows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What a rule or a person wants of a job; None is as the settings have it when the time comes.

    Attributes
    ----------
    network : str or None
        Name of the network.
    target_spacing_mm : float or None
        Wanted distance of thin slices.
    destinations : tuple of str or None
        Names of those that get the result.
    again : int or None
        A person had the stack restored again, with this network and spacing: how many jobs it had before. It makes UIDs
        of their own, also where the network is one that it had once.
    """

    network: str | None = None
    target_spacing_mm: float | None = None
    destinations: tuple[str, ...] | None = None
    again: int | None = None
