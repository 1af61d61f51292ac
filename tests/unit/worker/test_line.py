"""A line of row numbers: urgent numbers go first, and one that waits is not queued twice."""

import threading

from tests.waiting import until
from worker.line import Line


def test_urgent_numbers_go_first_and_none_waits_twice() -> None:
    done: list[int] = []
    may_go = threading.Event()

    def work(number: int) -> None:
        may_go.wait(60)
        done.append(number)

    line = Line(work)
    for number, priority in ((1, 0), (2, 0), (3, 1), (2, 0), (1, 1)):
        line.put(number, priority)
    line.start("test", 1)
    may_go.set()
    until("all are done", lambda: len(done) == 3)
    assert done == [3, 1, 2]


def test_a_number_that_failed_may_come_again_and_the_thread_lives() -> None:
    tries: list[int] = []

    def work(number: int) -> None:
        tries.append(number)
        raise ZeroDivisionError

    line = Line(work)
    line.start("test", 1)
    for times in (1, 2):
        until("it may come again", lambda: not line._waiting)
        line.put(7, 0)
        until("it came", lambda times=times: len(tries) == times)
    until("the second is over", lambda: not line._waiting)
