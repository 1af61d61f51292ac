"""What a soak came to: every invariant, counted."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dicom_node.ledger import queries
from dicom_node.ledger.queries import JobView
from tests.faults.kit import invariants
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.invariants import Holdings
from tests.soak.senders import Tally

LEFTOVERS_S = 60.0
SHOWN = 20


@dataclass(frozen=True)
class Sums:
    """Counts at rest; ``good`` when all that must be zero is."""

    jobs: list[JobView]
    restless: str
    lost: list[str]
    endless: list[tuple[int, str, str]]
    wrong: list[str]
    left: list[str]
    named: list[str]
    bad_row: int | None

    @property
    def good(self) -> bool:
        """Every invariant holds."""
        found = (self.restless, self.lost, self.endless, self.wrong, self.left, self.named)
        return not any(found) and self.bad_row is None

    def line(self) -> str:
        """All of it, in short."""
        states = ", ".join(
            f"{count} {state}" for state, count in Counter(item.state for item in self.jobs).most_common()
        )
        return (
            f"lost {len(self.lost)}, doubled or wrong in the PACS {len(self.wrong)}, without a final state "
            f"{len(self.endless)} of {len(self.jobs)} jobs ({states}), left over {len(self.left)}, patients named "
            f"{len(self.named)}, audit chain {'whole' if self.bad_row is None else f'broken at row {self.bad_row}'}"
        )

    def details(self) -> Iterator[str]:
        """What is not as it should be, and jobs that are not verified, with their reasons."""
        if self.restless:
            yield f"not at rest: {self.restless}"
        names = ("lost", "endless", "wrong", "left", "named")
        yield from (f"{name}: {found[:SHOWN]}" for name in names if (found := getattr(self, name)))
        for item in self.jobs:
            if item.state not in ("verified", "superseded", "skipped"):
                yield f"job {item.id} is {item.state}: {item.reason}"


def add_up(cluster: Cluster, pacs: Holdings, tally: Tally, limit_s: float) -> Sums:
    """Wait for rest, then look at everything."""
    restless = ""
    try:
        jobs = invariants.wait_for_rest(cluster, tally.acknowledged, limit_s)
    except AssertionError as error:
        restless, jobs = str(error), queries.jobs(cluster.ledger(), limit=10_000)
    return Sums(
        jobs=jobs,
        restless=restless,
        lost=invariants.lost(cluster, sorted(tally.acknowledged)),
        endless=invariants.endless(jobs),
        wrong=invariants.wrong_in_pacs(jobs, pacs.holdings()),
        left=_leftovers(cluster),
        named=invariants.told_of_patients(cluster),
        bad_row=invariants.bad_audit_row(cluster),
    )


def _leftovers(cluster: Cluster) -> list[str]:
    """What still lies about after two sweeps, if it does."""
    deadline = time.monotonic() + LEFTOVERS_S
    while (left := invariants.leftovers(cluster)) and time.monotonic() < deadline:
        time.sleep(1)
    return left
