"""A running listener and a sender that ships bytes as they are, for the tests of receipt.

``python -m tests.unit.dicom_node.receive.harness SPOOL [NETWORK_TIMEOUT_S]`` runs a listener in a process of its own,
which tests may kill, trace or starve; it prints its port.
"""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from queue import Queue

import numpy as np
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from dicom_node.commitment import CommitmentRequest
from dicom_node.receive.handlers import Callbacks
from dicom_node.receive.part10 import PREAMBLE
from dicom_node.receive.scp import Listener
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance, Refusal
from dicom_node.settings import ReceiveSettings
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from dicom_node.uid import derived_uid

ROOT = Path(__file__).resolve().parents[4]


def now() -> datetime:
    return datetime.now(tz=UTC)


def ct_slice(number: int = 1, *, series: str = "a", rows: int = 8, **changes: object) -> Dataset:
    """A small CT slice; ``changes`` replaces data elements, None drops one."""
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = derived_uid("test", series, str(number))
    data_set.PatientName = "Secret^Person"
    data_set.PatientID = "SECRET-ID"
    data_set.StudyInstanceUID = derived_uid("test", "study")
    data_set.SeriesInstanceUID = derived_uid("test", series)
    data_set.Rows = data_set.Columns = rows
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.PixelData = np.random.default_rng(number).integers(0, 4096, (rows, rows), np.uint16).tobytes()
    data_set["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            del data_set[keyword]
        else:
            setattr(data_set, keyword, value)
    return data_set


def encoded(data_set: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The bytes that travel in a C-STORE."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(stream, data_set)
    return stream.getvalue()


def body(content: bytes) -> bytes:
    """The data set of a Part 10 file, cut out by the File Meta Information's group length, untouched."""
    if content[128:132] != PREAMBLE[128:] or content[132:136] != b"\2\0\0\0":
        return content
    return content[144 + int.from_bytes(content[140:144], "little") :]


@dataclass
class Recorder:
    """What a listener told."""

    received: list[ReceivedInstance] = field(default_factory=list)
    released: "Queue[frozenset[str]]" = field(default_factory=Queue)
    aborted: "Queue[frozenset[str]]" = field(default_factory=Queue)
    commitments: list[tuple[Dataset, int]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    asked: list[CommitmentRequest] = field(default_factory=list)

    def commitment(self, result: Dataset, event_type: int) -> int:
        self.commitments.append((result, event_type))
        return 0x0000

    def callbacks(self) -> Callbacks:
        return Callbacks(
            self.received.append,
            self.released.put,
            self.aborted.put,
            self.commitment,
            self.refused.append,
            self.asked.append,
        )


@contextmanager
def running(
    root: Path, callbacks: Callbacks | None = None, disk_full_percent: float = 100, **settings: object
) -> Iterator[Listener]:
    """A listener on a free loopback port, stopped at the end."""
    listener = Listener(
        ReceiveSettings(**{"port": 0, "network_timeout_s": 10, **settings}),
        Spool(root, disk_full_percent),
        callbacks or Recorder().callbacks(),
        now,
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(limit_s=5)


@contextmanager
def running_process(root: Path, *before: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The same in a process of its own, run by ``before`` (for example strace); killed at the end."""
    command = [*before, sys.executable, "-m", __name__, str(root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def associate(address: tuple[str, int], syntaxes: list[UID] | None = None, **options: object) -> Association:
    """An association with one presentation context per transfer syntax, so that each keeps its own."""
    entity = AE(str(options.pop("calling", "SCANNER")))
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    contexts = [build_context(CTImageStorage, syntax) for syntax in syntaxes or TRANSFER_SYNTAXES]
    association = entity.associate(*address, contexts=contexts, **{"ae_title": "THINSLICE", **options})
    if association.is_established:  # else each store waits 40 ms for the listener's delayed acknowledgement
        with suppress(OSError):  # the listener may have been killed since
            association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return association


def store(
    association: Association,
    data_set: bytes,
    sop_instance_uid: str,
    *,
    syntax: str = ExplicitVRLittleEndian,
    sop_class_uid: str = CTImageStorage,
) -> int | None:
    """C-STORE these bytes without looking at them; the status, or None where no answer came."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class_uid), UID(sop_instance_uid)
    request.DataSet = BytesIO(data_set)
    context = next(c for c in association.accepted_contexts if c.transfer_syntax[0] == syntax)
    association._reactor_checkpoint.clear()  # else the reactor takes the answer
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context.context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return response.Status if response else None


def send(address: tuple[str, int], *data_sets: Dataset) -> list[int | None]:
    """The statuses of some slices sent in one association, Explicit VR Little Endian."""
    association = associate(address)
    assert association.is_established
    statuses = [store(association, encoded(each), each.SOPInstanceUID) for each in data_sets]
    association.release()
    return statuses


def _serve(root: Path) -> None:
    warnings.simplefilter("ignore")  # pydicom's, of values that are wrong; the node ignores them too
    spool = Spool(root, disk_full_percent=100)
    listener = Listener(ReceiveSettings(port=0), spool, Recorder().callbacks(), now)
    listener.start()
    print(listener.address[1], flush=True)  # noqa: T201 the parent reads it
    while True:
        time.sleep(60)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _serve(Path(sys.argv[1]))
