"""What tests of several ways of sending start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.records import DerivedSeries
from tests.unit.dicom_node.send.slices import result_of
from tests.web_service import WebService, web_service


@pytest.fixture
def result(tmp_path: Path) -> DerivedSeries:
    """Six slices on disk."""
    return result_of(tmp_path / "slices")


@pytest.fixture
def service() -> Iterator[WebService]:
    """A DICOMweb service by script."""
    with web_service() as running:
        yield running
