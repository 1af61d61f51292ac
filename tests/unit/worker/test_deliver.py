"""A PACS that is not there is left alone after a few tries; its first answer lets everything go."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.derive.manifest import write_manifest
from dicom_node.derive.writer import write_series
from dicom_node.ledger import circuits, deliveries, jobs, queries
from dicom_node.records import DerivedInstance, DerivedSeries, ReplacedResult
from dicom_node.settings import DeriveSettings
from dicom_node.uid import instance_uid
from sr_engine.volume import ModelIdentity
from tests.faults.kit.pacs import ScriptedPacs
from tests.phantom import chest, write_dicom
from tests.servers import Pacs, free_port
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.nodes import open_at
from worker.steps.deliver import deliver
from worker.wiring import Node


def stored_result(folder: Path) -> DerivedSeries:
    """A small series on disk with its manifest."""
    files = write_dicom(chest(shape=(21, 32, 32), pixel_mm=10).thick, folder)
    headers = [dcmread(path, stop_before_pixels=True) for path in files]
    found = tuple(
        DerivedInstance(
            str(header.SOPClassUID),
            str(header.SOPInstanceUID),
            str(header.SeriesInstanceUID),
            path,
            sha256(path.read_bytes()).hexdigest(),
        )
        for header, path in zip(headers, files, strict=True)
    )
    stored = replace(
        result(), study_instance_uid=str(headers[0].StudyInstanceUID),
        series_instance_uid=found[0].series_instance_uid, folder=folder, instances=found,
    )  # fmt: skip
    write_manifest(stored, ModelIdentity("cubic", "cubic", "1", "0" * 64, learned=False))
    return stored


def node_with(folder: Path, port: int, ae_title: str) -> Node:
    pacs = f'[[send.pacs]]\nname = "main"\nae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}'
    return open_at(folder, send=f"connect_timeout_s = 2\nretry_first_s = 0.001\n{pacs}")


@pytest.mark.timeout(120)
def test_after_three_failures_the_pacs_is_left_alone_until_it_answers(tmp_path: Path, storescp_server: Pacs) -> None:
    kept = stored_result(tmp_path / "kept")
    node = node_with(tmp_path, free_port(), "AWAY")
    for number in range(4):
        job_id = queue(node.database, "abcd"[number], f"2.25.{number}")
        jobs.restored(node.database, claimed(node.database, job_id), kept, {}, ["main"])
    for number in (1, 2, 3):
        assert deliver(node, number)
    circuits.failed(node.database, "main", "still away", 3, lambda _times: 3600)
    assert not deliver(node, 4)
    assert [item.failures for item in circuits.opened(node.database)] == [4]
    circuits.failed(node.database, "main", "the hour is over", 3, lambda _times: -1)
    back = node_with(tmp_path, storescp_server.port, storescp_server.ae_title)
    assert deliver(back, 4)
    assert circuits.opened(back.database) == []
    assert queries.deliveries_of(back.database, 4)[0].state == "sent"
    assert len(deliveries.due_deliveries(back.database, again_s=0)) == 4


def test_a_rejection_note_waits_until_the_pacs_has_all_of_the_new_result(tmp_path: Path) -> None:
    """Until then the earlier series must stay in sight."""
    thick = thick_series(write_source(tmp_path / "source"))
    old = ReplacedResult("old", 1, (instance_uid("old", 0),))
    kept = write_series(
        thick, thin_volume(thick), "new", DeriveSettings(), tmp_path / "kept", datetime.now(UTC), replaced=(old,)
    )
    note = kept.instances[-1].sop_instance_uid
    pacs = ScriptedPacs(free_port())
    pacs.script.status = lambda number, times: 0xA700 if (number, times) == (3, 0) else 0x0000
    pacs.start()
    try:
        node = node_with(tmp_path, pacs.port, pacs.ae_title)
        jobs.restored(node.database, claimed(node.database, queue(node.database)), kept, {}, ["main"])
        assert deliver(node, 1)
        assert (pacs.came.total(), note in pacs.came) == (16, False)
        assert deliver(node, 1)
        assert (pacs.came.total(), note in pacs.held) == (18, True)
    finally:
        pacs.stop()
    assert queries.deliveries_of(node.database, 1)[0].state == "sent"
