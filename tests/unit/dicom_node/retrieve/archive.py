"""PACSs that behave as scripted: one speaks C-FIND and C-GET, one DICOMweb."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.destinations import Destination
from tests.servers import HOST, free_port
from tests.unit.dicom_node.receive.harness import ct_slice

AE_TITLE = "ARCHIVE"
LEVELS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
Answer = tuple[int, Dataset | None]


def slices(count: int, **values: object) -> list[Dataset]:
    """A series of small CT slices as a PACS would have them."""
    plain: dict[str, object] = {
        "PatientID": "P1", "Modality": "CT", "StudyDate": "20240301", "StudyDescription": "CT CHEST",
        "SeriesDescription": "THICK", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "SliceThickness": "5",
    }  # fmt: skip
    return [ct_slice(number, **(plain | values)) for number in range(1, count + 1)]


@dataclass
class Archive:
    """What a PACS holds, and how it misbehaves; the hooks stand in for what a good one does."""

    images: list[Dataset]
    hidden: Sequence[str] = ()
    find: Callable[[Dataset], Iterator[Answer]] | None = None
    get: Callable[[evt.Event, list[Dataset]], Iterator[Any]] | None = None
    move: Callable[[evt.Event], Iterator[Any]] | None = None
    asked: list[Dataset] = field(default_factory=list)

    def answers(self, keys: Dataset) -> Iterator[Answer]:
        """What a good one answers to C-FIND, without what it hides."""
        unique = LEVELS[keys.QueryRetrieveLevel]
        found = {str(image[unique].value): image for image in self.images if _matches(image, keys)}
        for image in found.values():
            answer = Dataset()
            for item in keys:
                if item.keyword in image and item.keyword not in self.hidden:
                    answer.add(image[item.keyword])
            yield 0xFF00, answer

    def wanted(self, keys: Dataset) -> list[Dataset]:
        """The images of a C-GET."""
        uids = [keys.SOPInstanceUID] if isinstance(keys.SOPInstanceUID, str) else keys.SOPInstanceUID
        return [image for image in self.images if image.SOPInstanceUID in uids]

    @contextmanager
    def running(self, *, offers_get: bool = True) -> Iterator[Destination]:
        """The PACS from start to stop."""
        entity = AE(AE_TITLE)
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        if offers_get:
            entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
        if self.move is not None:
            entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        entity.add_supported_context(CTImageStorage, [ExplicitVRLittleEndian], scu_role=True, scp_role=True)
        port = free_port()
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_GET, self._get), (evt.EVT_C_MOVE, self._move)]
        server = entity.start_server((HOST, port), block=False, evt_handlers=handlers)
        try:
            yield Destination("archive", AE_TITLE, HOST, port, storage_commitment=False)
        finally:
            server.shutdown()

    def _find(self, event: evt.Event) -> Iterator[Answer]:
        self.asked.append(event.identifier)
        yield from (self.find or self.answers)(event.identifier)

    def _get(self, event: evt.Event) -> Iterator[Any]:
        self.asked.append(event.identifier)
        wanted = self.wanted(event.identifier)
        if self.get is not None:
            yield from self.get(event, wanted)
            return
        yield len(wanted)
        for image in wanted:
            yield 0xFF00, sendable(image)

    def _move(self, event: evt.Event) -> Iterator[Any]:
        assert self.move is not None
        yield from self.move(event)


def sendable(image: Dataset) -> Dataset:
    """An image as pynetdicom sends it."""
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _matches(image: Dataset, keys: Dataset) -> bool:
    given = [item for item in keys if item.value and item.keyword in image]
    return all(str(image[item.keyword].value) == str(item.value) for item in given if item.keyword != "StudyDate")


@dataclass
class WebAnswer:
    """Status, headers and body of an answer; ``cut`` bytes of its end do not come, at once or ever."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/dicom+json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    hangs_s: float = 0.0


@contextmanager
def web_server(answer: Callable[[str], WebAnswer]) -> Iterator[str]:
    """An HTTP server that answers every GET of a path and query by a function; gives its address."""
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = answer(self.path)
            self.send_response(told.status)
            for name, value in ({"Content-Type": told.content_type} | told.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body[: len(told.body) - told.cut])
            self.wfile.flush()
            stopped.wait(told.hangs_s)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/dicom-web"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
