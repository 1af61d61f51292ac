"""The gate that keeps pynetdicom's reactor from taking our answers."""

import threading
import time

from dicom_node.send.gate import ReactorGate


class Reactor(threading.Thread):
    """Goes round like pynetdicom's: a look at the gate, then a round of work in which it would take answers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.gate = ReactorGate(self)
        self.gate.set()
        self.at_work = False
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            self.gate.wait()
            self.at_work = True
            time.sleep(0.0002)
            self.at_work = False


def test_while_the_gate_is_closed_the_reactor_does_not_work() -> None:
    """With pynetdicom's own event some of these rounds find the reactor at work."""
    reactor = Reactor()
    reactor.start()
    found_at_work = 0
    for _ in range(500):
        reactor.gate.clear()
        found_at_work += reactor.at_work
        reactor.gate.set()
    reactor.ended = True
    reactor.join(5)
    assert found_at_work == 0
    assert not reactor.is_alive()


def test_closing_the_gate_of_a_reactor_that_ended_does_not_hang() -> None:
    reactor = Reactor()
    reactor.ended = True
    reactor.start()
    reactor.join(5)
    reactor.gate.clear()
    assert not reactor.gate.is_set()


def test_a_reactor_may_close_its_own_gate() -> None:
    """Pynetdicom's reactor releases the association itself in one case; it must not wait for itself."""
    closed: list[bool] = []

    class Releasing(Reactor):
        def run(self) -> None:
            self.gate.clear()
            closed.append(not self.gate.is_set())

    reactor = Releasing()
    reactor.start()
    reactor.join(5)
    assert closed == [True]
