"""A scanner that sends CT slices, keeps what was acknowledged, and sends again what was not, as scanners do."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.association import Association

from tests.nodes import AE_TITLE, SCANNER_AE
from tests.processes import HOST

STORED = 0x0000
ANSWER_S = 45.0


def _nothing(_count: int) -> None:
    """No one wants to know."""


@dataclass
class Scanner:
    """Sends to the node at ``port``, which may be a proxy's.

    Attributes
    ----------
    acknowledged : dict
        SOP Instance UID to file of every slice that was ever answered 0x0000.
    statuses : list of (int or None)
        Every answer in order; None where none came.
    """

    port: int
    ae_title: str = SCANNER_AE
    answer_s: float = ANSWER_S
    syntax: str = ExplicitVRLittleEndian
    acknowledged: dict[str, Path] = field(default_factory=dict)
    statuses: list[int | None] = field(default_factory=list)

    def push(self, images: Sequence[Path], answered: Callable[[int], None] = _nothing) -> bool:
        """Send over one association, until it breaks; True when every slice was answered 0x0000.

        ``answered`` is told how many answers have come.
        """
        link = self._associate()
        if link is None:
            return False
        stored = 0
        for number, image in enumerate(images, 1):
            status = self._store(link, image)
            self.statuses.append(status)
            stored += status == STORED
            if status is None:
                link.abort()
                return False
            answered(number)
        link.release()
        return stored == len(images)

    def push_until_stored(self, images: Sequence[Path], limit_s: float = 120.0, again_s: float = 0.5) -> None:
        """Send, and send again, until every slice was answered 0x0000; AssertionError after ``limit_s``."""
        deadline = time.monotonic() + limit_s
        while not self.push(images):
            if time.monotonic() > deadline:
                raise AssertionError(f"not every slice was taken within {limit_s:.0f} s; answers: {self.statuses[-9:]}")
            time.sleep(again_s)

    def _associate(self) -> Association | None:
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(self.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.answer_s
        entity.connection_timeout = 10
        entity.add_requested_context(CTImageStorage, self.syntax)
        link = entity.associate(HOST, self.port, ae_title=AE_TITLE)
        return link if link.is_established else None

    def _store(self, link: Association, image: Path) -> int | None:
        data_set = dcmread(image)
        try:
            answer = link.send_c_store(data_set)
        except RuntimeError:  # the association ended
            return None
        status = answer.get("Status")
        if status == STORED:
            self.acknowledged[str(data_set.SOPInstanceUID)] = image
        return None if status is None else int(status)
