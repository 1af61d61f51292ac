"""Where fetched images come in: those of one series that were asked for, through the same door as a C-STORE."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from dicom_node.errors import InputError, NodeError, StorageError
from dicom_node.receive.door import Arrival, keep
from dicom_node.receive.part10 import Identity
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance
from dicom_node.status import SUCCESS, store_status


class Pace:
    """Lets so many images pass a second, evenly."""

    def __init__(self, per_second: float) -> None:
        self._every_s = 1 / per_second
        self._next = 0.0

    def wait(self, images: int = 1) -> None:
        """Return when the next may come; these many come after it."""
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + images * self._every_s


class _PassedOverError(InputError):
    """An image that came along with those that were asked for."""


class Intake:
    """Takes images of one series.

    Parameters
    ----------
    others : frozenset of str
        SOP Instance UIDs of the series that may come along, and are not kept.

    Attributes
    ----------
    asked : frozenset of str
        SOP Instance UIDs that are to come.
    maximum_bytes : int
        Largest data set.
    pace : Pace
        How fast they may come.
    came : set of str
        SOP Instance UIDs that the spool holds for good.
    kept : list of ReceivedInstance
        The same, as long as they were not taken from here.
    refused : Counter
        Why others were not kept, as sentences, or what the PACS says of them, and how often.
    """

    def __init__(
        self,
        spool: Spool,
        series_uid: str,
        asked: frozenset[str],
        *,
        others: frozenset[str] = frozenset(),
        maximum_bytes: int,
        pace: Pace,
        now: Callable[[], datetime],
    ) -> None:
        self.asked, self.maximum_bytes, self.pace = asked, maximum_bytes, pace
        self.came: set[str] = set()
        self.refused: Counter[str] = Counter()
        self._spool, self._series_uid, self._others, self._now = spool, series_uid, others, now
        self.kept: list[ReceivedInstance] = []
        self._broken: StorageError | None = None

    def offer(self, read: Callable[[], Arrival]) -> int:
        """Keep what ``read`` gives; returns the C-STORE status that answers it (PS3.4 B.2.3)."""
        self.pace.wait()
        try:
            self.kept.append(instance := keep(self._spool, read(), self._now(), self._check))
        except _PassedOverError:
            return SUCCESS
        except StorageError as error:
            self._broken = error
            return store_status(error)
        except NodeError as error:
            self.refused[str(error)] += 1
            return store_status(error)
        self.came.add(instance.sop_instance_uid)
        return SUCCESS

    def take(self) -> list[ReceivedInstance]:
        """What was kept since this was last called."""
        kept, self.kept = self.kept, []
        return kept

    def check(self) -> None:
        """StorageError where the spool could not be written: nothing more is to be fetched."""
        if self._broken is not None:
            raise self._broken

    def _check(self, identity: Identity) -> None:
        if identity.series_instance_uid == self._series_uid and identity.sop_instance_uid in self._others:
            raise _PassedOverError
        if identity.series_instance_uid != self._series_uid or identity.sop_instance_uid not in self.asked:
            raise InputError("the PACS sent an image that was not asked for")
