"""Pictures through the middle of a stack: thick, thin, and what lies between them; made when someone looks.

They hold grey values or colours and nothing else: no text, no metadata. They may be deleted at any time.
"""

import hashlib
import threading
from pathlib import Path

from dicom_node import durable
from dicom_node.errors import InputError, StorageError
from dicom_node.ledger.queries import JobView
from worker.console import painting
from worker.console.cuts import PLANES, Cuts, difference, thick_cuts, thin_cuts, unpacked
from worker.console.painting import WINDOWS
from worker.wiring import Node

KINDS = ("thick", "thin", "difference")
MAKERS = {"thick": thick_cuts, "thin": thin_cuts}
# Of a coronal cut pixels follow each other along a row, of a sagittal one along a column.
ALONG = {"coronal": 1, "sagittal": 0}


class Previews:
    """Pictures in a folder, made once for each result. One is made at a time: it takes a core for a second or two."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()

    def picture(self, node: Node, job: JobView, plane: str, kind: str, window: str = "wide") -> bytes:
        """PNG of a plane. InputError or StorageError where there is none to be had."""
        if plane not in PLANES or kind not in KINDS or window not in WINDOWS:
            raise InputError("there is no such picture")
        if not job.result or not Path(job.result).is_dir():
            raise StorageError("the result is no longer on this node")
        folder = self._folder / hashlib.sha256(job.result.encode()).hexdigest()[:32]
        path = folder / (f"{plane}-{kind}.png" if kind == "difference" else f"{plane}-{kind}-{window}.png")
        with self._turn:
            if not path.exists():
                _write(path, self._paint(node, job, folder, plane, kind, window))
            return path.read_bytes()

    def _paint(self, node: Node, job: JobView, folder: Path, plane: str, kind: str, window: str) -> bytes:
        if kind == "difference":
            thick, cuts = (self._cuts(node, job, folder, name) for name in MAKERS)
            image = painting.colours(difference(thick, cuts, plane))
        else:
            cuts = self._cuts(node, job, folder, kind)
            image = painting.grey(cuts.planes[plane], WINDOWS[window])
        if plane == "axial":
            return painting.lying(image[0], cuts.pixel_mm)
        return painting.upright(image, cuts.height_mm, cuts.pixel_mm[ALONG[plane]])

    def _cuts(self, node: Node, job: JobView, folder: Path, kind: str) -> Cuts:
        """Every plane of one kind: the files are read only once."""
        path = folder / f"{kind}.npz"
        if not path.exists():
            _write(path, MAKERS[kind](node, job).packed())
        return unpacked(path.read_bytes())


def _write(path: Path, content: bytes) -> None:
    try:
        durable.make_folder(path.parent)
        part = path.with_suffix(".part")
        durable.write_synced(part, content)
        part.rename(path)
    except OSError as error:
        raise StorageError(f"the picture could not be written: {error.strerror or error}") from error
