"""Batches in the order of their steps, drawn ahead by threads so that a GPU does not wait.

Every batch is a function of (seed, step), so how many threads draw changes nothing but the time.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sr_engine.networks.contract import SliceContract
from sr_engine.training.config import TrainingConfig
from sr_engine.training.pairs import Batch, draw
from sr_engine.training.subjects import Subject

AHEAD = 2  # batches per thread that may wait


def batches(
    subjects: Sequence[Subject], config: TrainingConfig, contracts: Mapping[int, SliceContract], first: int
) -> Iterator[Batch]:
    """Yield the batches of steps ``first``, ``first + 1``, ... to the run's last.

    Parameters
    ----------
    subjects : sequence of Subject
        Volumes that teach.
    config : TrainingConfig
        The run; ``loaders`` says how many threads draw.
    contracts : mapping
        What the network makes at each ratio.
    first : int
        Steps already done.
    """

    def one(step: int) -> Batch:
        return draw(subjects, config.data, contracts, config.optimiser.batch, (config.seed, step))

    steps = range(first, config.optimiser.steps)
    if config.loaders == 0:
        yield from map(one, steps)
        return
    with ThreadPoolExecutor(config.loaders) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(one, step))
                if len(waiting) > AHEAD * config.loaders:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the run was stopped: what is not begun need not be drawn
            pool.shutdown(wait=False, cancel_futures=True)
