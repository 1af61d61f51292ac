"""Asking a PACS what it has by QIDO-RS (PS3.18 10.6), and having it send by WADO-RS (PS3.18 10.4).

Read here, not by a DICOMweb client library: the spool keeps the bytes as they came, and nothing is read without limit.
No error repeats an address as it was called: a query may name the patient (`send.web.session` sees to it).
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydicom import Dataset
from requests import Response, Session

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, InputError, NodeError, UnreadableInstance
from dicom_node.receive.door import Arrival, too_large
from dicom_node.receive.part10 import split_file
from dicom_node.retrieve.find import too_many
from dicom_node.retrieve.intake import Intake
from dicom_node.retrieve.parts import boundary_of, parts
from dicom_node.retrieve.question import Ask, FoundSeries
from dicom_node.send.web import limits, session
from dicom_node.series.elements import Elements, readable
from dicom_node.settings import SendSettings
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES

JSON = "application/dicom+json"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
CHUNK_BYTES = 1 << 16
ANSWER_BYTES = 64_000_000
LONGEST_AE_TITLE = 16
NO_CONTENT = 204


class Web:
    """QIDO-RS and WADO-RS."""

    way = "dicomweb"

    def __init__(self, service: WebDestination, settings: SendSettings) -> None:
        self.name = service.name
        self._service, self._settings = service, settings

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """By QIDO-RS, as many answers at once as the service likes to give."""
        with session(self._service, self._settings) as web:
            yield partial(self._ask, web)

    def fetch(self, series: FoundSeries, intake: Intake) -> Iterator[int]:
        """See `question.Source`: the whole series where most of it is asked for, else image by image."""
        path = f"studies/{series.study_uid}/series/{series.series_uid}"
        whole = len(intake.asked) * 2 > (series.images or 0)
        address = self._address()
        with session(self._service, self._settings) as web:
            for part in [path] if whole else [f"{path}/instances/{uid}" for uid in sorted(intake.asked)]:
                for content in self._parts(web, part, intake.maximum_bytes):
                    intake.offer(partial(self._arrival, content, address))
                    intake.check()
                    yield len(intake.came)

    def _ask(self, web: Session, keys: Dataset, maximum: int) -> list[Dataset]:
        level = keys.QueryRetrieveLevel
        found: dict[str, Dataset] = {}
        while True:
            page = self._page(web, keys, {"limit": maximum + 1, "offset": len(found)})
            known = len(found)
            found |= {_unique(answer, level): answer for answer in page}
            if len(found) > maximum:
                raise too_many(self.name, maximum, level)
            if len(found) == known:  # no more, or a server that begins anew whatever the offset
                return list(found.values())

    def _page(self, web: Session, keys: Dataset, window: dict[str, int]) -> list[Dataset]:
        path, parameters = _resource(keys)
        with self._get(web, path, JSON, parameters | window) as response:
            if response.status_code == NO_CONTENT:
                return []
            endless = DestinationError(f"DICOMweb {self.name} answers a query with more than {ANSWER_BYTES} bytes")
            content = self._body(response, ANSWER_BYTES, endless)
        try:
            return [Dataset.from_json(item) for item in json.loads(content)]
        except Exception as error:  # what is no DICOM JSON raises anything
            raise DestinationError(f"DICOMweb {self.name} answers something that is no DICOM JSON") from error

    def _parts(self, web: Session, path: str, maximum: int) -> Iterator[bytes]:
        with self._get(web, path, AS_STORED, {}) as response:
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            if boundary is None:  # one image as it is: against the standard, and common
                yield self._body(response, maximum, too_large(maximum))
                return
            try:
                yield from parts(response.iter_content(CHUNK_BYTES), boundary, maximum)
            except EOFError as error:
                raise DestinationError(f"DICOMweb {self.name} broke off while it was sending") from error

    @contextmanager
    def _get(self, web: Session, path: str, accept: str, parameters: dict[str, Any]) -> Iterator[Response]:
        """An answer whose body is still to be read."""
        url = f"{self._service.url}/{path}"
        headers = {"Accept": accept}
        with web.get(url, params=parameters, headers=headers, stream=True, timeout=limits(self._settings)) as response:
            response.raise_for_status()
            yield response

    def _body(self, response: Response, maximum: int, error: NodeError) -> bytes:
        """A body held whole; the error where it is larger."""
        body = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > maximum:
                raise error
        return bytes(body)

    def _arrival(self, content: bytes, address: str) -> Arrival:
        meta, data_set = split_file(content)
        named = Elements(meta)
        syntax = named.text("TransferSyntaxUID")
        if syntax not in TRANSFER_SYNTAXES:
            raise InputError("an image is compressed with loss, or in a way that is not read here")
        kind, uid = named.text("MediaStorageSOPClassUID"), named.text("MediaStorageSOPInstanceUID")
        if not kind or not uid:
            raise UnreadableInstance("the file does not say which image it holds: the PACS must mend it")
        return Arrival(data_set, syntax, kind, kind, uid, readable(self.name, LONGEST_AE_TITLE), address)

    def _address(self) -> str:
        """The server's address as its name says."""
        place = urlsplit(self._service.url)
        with suppress(OSError):
            return str(socket.getaddrinfo(place.hostname, place.port)[0][4][0])
        return ""


def _resource(keys: Dataset) -> tuple[str, dict[str, Any]]:
    """Path and parameters that ask what an identifier of C-FIND asks."""
    study, series = (str(keys.get(keyword, "")) for keyword in ("StudyInstanceUID", "SeriesInstanceUID"))
    path, given = {
        "STUDY": ("studies", ()),
        "SERIES": (f"studies/{study}/series", ("StudyInstanceUID",)),
        "IMAGE": (f"studies/{study}/series/{series}/instances", ("StudyInstanceUID", "SeriesInstanceUID")),
    }[keys.QueryRetrieveLevel]
    # Of an identifier alone; what is asked by a URL is UTF-8.
    dimse = ("QueryRetrieveLevel", "SpecificCharacterSet")
    others = [item for item in keys if item.keyword not in (*dimse, *given)]
    matched = {item.keyword: str(item.value) for item in others if item.value}
    return path, matched | {"includefield": [item.keyword for item in others]}


def _unique(answer: Dataset, level: str) -> str:
    keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level]
    return Elements(answer).text(keyword)
