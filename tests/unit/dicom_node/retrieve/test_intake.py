"""What was asked for is kept, and answered as a C-STORE is; the pace is held."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.errors import StorageError
from dicom_node.receive.door import Arrival
from dicom_node.retrieve import intake as module
from dicom_node.retrieve.intake import Pace
from tests.unit.dicom_node.receive.harness import encoded
from tests.unit.dicom_node.retrieve.archive import slices
from tests.unit.dicom_node.retrieve.test_web import IMAGES, intake_of


def arriving(image: Dataset, **said: str) -> Callable[[], Arrival]:
    kind, uid = str(image.SOPClassUID), str(image.SOPInstanceUID)
    plain = {"context_class_uid": kind, "sop_class_uid": kind, "sop_instance_uid": uid}
    fields = {"transfer_syntax_uid": "1.2.840.10008.1.2.1", "calling_ae": "PACS", "peer_ip": "10.0.0.1"}
    return lambda: Arrival(encoded(image), **(plain | fields | said))


def test_each_fate_has_its_status(tmp_path: Path) -> None:
    intake = intake_of(tmp_path, IMAGES[:2], frozenset({str(IMAGES[2].SOPInstanceUID)}))
    assert intake.offer(arriving(IMAGES[0])) == 0x0000
    assert intake.offer(arriving(IMAGES[2])) == 0x0000
    assert intake.offer(arriving(IMAGES[3])) == 0xA900
    assert intake.offer(arriving(slices(1, series="b")[0])) == 0xA900
    assert intake.offer(arriving(IMAGES[1], sop_instance_uid="1.2")) == 0xA900
    cut = arriving(IMAGES[1])()
    assert intake.offer(lambda: Arrival(**(vars(cut) | {"data_set": cut.data_set[:-9]}))) == 0xC000
    assert intake.came == {str(IMAGES[0].SOPInstanceUID)}
    assert [item.sop_instance_uid for item in intake.take()] == [IMAGES[0].SOPInstanceUID]
    assert intake.take() == []
    assert sum(intake.refused.values()) == 4
    assert len(list((tmp_path / "spool" / "quarantine").glob("*.dcm"))) == 1


def test_a_spool_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    intake = intake_of(tmp_path, IMAGES)
    intake.check()
    intake._spool._disk_full_percent = 0.001
    assert intake.offer(arriving(IMAGES[0])) == 0xA700
    with pytest.raises(StorageError, match="disk"):
        intake.check()


def test_images_pass_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [100.0], []

    class Time:
        @staticmethod
        def monotonic() -> float:
            return clock[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            slept.append(round(seconds, 6))
            clock[0] += seconds

    monkeypatch.setattr(module, "time", Time)
    pace = Pace(10.0)
    pace.wait()
    pace.wait(20)
    pace.wait()
    clock[0] += 60
    pace.wait()
    assert slept == [0.0, 0.1, 2.0, 0.0]
