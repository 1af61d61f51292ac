"""What a soak does and when, drawn from its seed: the same seed gives the same plan."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

PAUSE_S = (3.0, 10.0)
FROZEN_S = (2.0, 8.0)
AWAY_S = (1.0, 6.0)

# How often each is drawn.
ACTIONS = {
    "kill listen": 3,
    "kill clock": 3,
    "kill worker": 6,
    "freeze listen": 1,
    "freeze clock": 1,
    "freeze worker": 2,
    "end listen": 1,
    "end worker": 2,
    "flush redis": 4,
    "restart redis": 1,
    "restart pacs": 2,
    "restart postgres": 2,
}
SENDS = {"whole": 4, "two associations": 2, "twice": 2, "interrupted": 2, "interleaved": 1}


@dataclass(frozen=True)
class Action:
    """One blow: after ``pause_s``, with a length where it has one, on the ``which``-th of its kind."""

    pause_s: float
    what: str
    which: float
    lasts_s: float


@dataclass(frozen=True)
class Delivery:
    """One series that a sender pushes: how, and from which seed its phantom is made."""

    pause_s: float
    how: str
    seed: int


def actions(seed: int) -> Iterator[Action]:
    """Blows without end."""
    dice = random.Random(f"actions {seed}")
    while True:
        what = dice.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        lasts = dice.uniform(*(FROZEN_S if what.startswith("freeze") else AWAY_S))
        yield Action(dice.uniform(*PAUSE_S), what, dice.random(), lasts)


def deliveries(seed: int, sender: int) -> Iterator[Delivery]:
    """Series of one sender, without end."""
    dice = random.Random(f"sender {sender} {seed}")
    while True:
        how = dice.choices(list(SENDS), list(SENDS.values()))[0]
        yield Delivery(dice.uniform(1.0, 12.0), how, dice.randrange(1 << 30))
