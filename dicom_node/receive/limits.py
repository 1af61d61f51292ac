"""What one sender may take of the node: associations at once, and bytes of one data set; and odd requests answered.

pynetdicom keeps a data set in memory until its last byte is there, takes any size, and counts connections that never
asked for an association among the associations. It drops an incomplete C-STORE request in silence, so that its sender
waits for ever, and ends the association over one for a class that it does not serve.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from io import BytesIO
from typing import cast
from weakref import WeakKeyDictionary

from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from dicom_node.errors import InputError
from dicom_node.status import store_status

REMEMBERED = 1000
LONGEST_UID = 64  # PS3.5 9.1; what is no UID but shorter gets as far as the handler, and into quarantine


class Admission:
    """Who is let in: so many associations at once, and so many of them from one address.

    The first to ask are let in, however many ask at once.
    """

    def __init__(self, at_once: int, per_peer: int) -> None:
        self._at_once, self._per_peer = at_once, per_peer
        self._admitted: list[tuple[Association, str]] = []
        self._lock = threading.Lock()

    def refusal(self, association: Association, peer: str) -> str:
        """Why an association from this address is not let in now; empty when it is, and counts until it ends."""
        with self._lock:
            self._admitted = [each for each in self._admitted if _is_open(each[0])]
            if len(self._admitted) >= self._at_once:
                return f"more associations at once than [receive].maximum_associations = {self._at_once}"
            if sum(address == peer for _, address in self._admitted) >= self._per_peer:
                return (
                    "more associations at once from one address than "
                    f"[receive].maximum_associations_per_peer = {self._per_peer}"
                )
            self._admitted.append((association, peer))
            return ""


class Overlong(BytesIO):
    """Stands in for a data set that grew past the limit: the rest of it is read from the sender and forgotten."""

    def write(self, data: object, /) -> int:
        """Forget ``data``."""
        return len(cast("bytes", data))


def bound(event: Event, maximum: int) -> None:
    """Forget a data set under way that holds more than ``maximum`` bytes; called for every PDU that arrives.

    The sender is not cut off: it hears of it by the status of that one instance, and its others still come.
    """
    message = event.assoc.dimse.message
    if message is not None and message.data_set is not None and message.data_set.tell() > maximum:
        message.data_set = Overlong()


class Patience:
    """How long one data set may take from its first byte to its last."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: WeakKeyDictionary[object, float] = WeakKeyDictionary()

    def is_over(self, event: Event) -> bool:
        """Whether the message under way has taken too long; called for every PDU that arrives."""
        message = event.assoc.dimse.message
        if message is None:
            return False
        now = time.monotonic()
        return now - self._since.setdefault(message, now) > self._limit_s


class Repeats:
    """Has the same thing said at most once in ``every_s`` seconds: a flood fills neither log nor audit trail."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._said: dict[Hashable, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def times(self, thing: Hashable) -> int:
        """How often it was so since it was last said; 0: it is not to be said now."""
        with self._lock:
            now = self._clock()
            said_at, unsaid = self._said.get(thing, (-math.inf, 0))
            if now - said_at < self._every_s:
                self._said[thing] = said_at, unsaid + 1
                return 0
            if len(self._said) > REMEMBERED:
                self._said.clear()
            self._said[thing] = now, 0
            return unsaid + 1


def hang_up(association: Association) -> None:
    """End a connection without a word: whoever stalls would not read one."""
    channel = association.dul.socket
    if channel is not None and channel.socket is not None:
        with suppress(OSError):  # it may have hung up
            channel.socket.shutdown(socket.SHUT_RDWR)


def answer_odd_request(event: Event) -> str:
    """Answer a C-STORE request that pynetdicom would not; what was odd about it, or an empty string.

    Without a Message ID no answer is possible (PS3.7 9.3.1.2), and the request rests.
    """
    message = event.message
    if not isinstance(message, C_STORE_RQ):
        return ""
    reason = _oddity(message.command_set)
    number = message.command_set.get("MessageID")
    if reason and number is not None:
        response = C_STORE()
        response.MessageID = response.MessageIDBeingRespondedTo = number
        response.Status = store_status(InputError(reason))
        event.assoc.dimse.send_msg(response, cast("int", message.context_id))
    if reason:
        message.command_set.AffectedSOPInstanceUID = ""  # as incomplete, so that it rests and ends nothing
    return reason


def _oddity(command: Dataset) -> str:
    if command.get("AffectedSOPClassUID") != CTImageStorage:
        return "a C-STORE request for another class than CT Image Storage"
    if not 1 <= len(str(command.get("AffectedSOPInstanceUID") or "")) <= LONGEST_UID:
        return "a C-STORE request whose AffectedSOPInstanceUID is missing or too long"
    if command.get("Priority") is None:
        return "a C-STORE request without Priority"
    return ""


def _is_open(association: Association) -> bool:
    ended = association.is_released or association.is_aborted or association.is_rejected
    return association.is_alive() and not ended
