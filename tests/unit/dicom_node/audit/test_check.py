"""Whoever rules the database and drops its triggers can change the trail, but not unseen. Exports prove themselves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from dicom_node.audit import check, export
from dicom_node.audit.anchors import Anchors
from dicom_node.audit.check import Verdict
from dicom_node.audit.export import Form
from dicom_node.errors import InputError
from dicom_node.ledger import trail
from dicom_node.ledger.chain import GENESIS, seal
from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import audit

ROWS = 10
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def anchors(database: Database, tmp_path: Path) -> Anchors:
    """Of a trail of ten rows, at its fifth and its last."""
    found = Anchors(tmp_path / "kept elsewhere" / "anchors")
    for number in range(1, ROWS + 1):
        trail.note(database, "tests.noted", number=number, text='größer; "quoted",\nand more')
        if number in (5, ROWS):
            assert found.drop(database, NOW)
    return found


def run(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def found(database: Database, anchors: Anchors) -> tuple[int, str]:
    verdict = check.verify(database, anchors)
    assert verdict.fault
    return verdict.fault.seq, verdict.sentence


def rewrite(database: Database, first: int) -> None:
    """Change a row, and seal it and all that follow anew."""
    rows = list(trail.rows(database, trail.span_of(database)))
    previous = rows[first - 2].hash
    with database.transaction() as connection:
        for row in rows[first - 1 :]:
            hash_ = seal(previous, row.at, "eve", row.event, row.subject, row.detail)
            values = {"actor": "eve", "previous_hash": previous, "hash": hash_}
            connection.execute(update(audit).where(audit.c.seq == row.seq).values(**values))
            previous = hash_


def test_a_whole_trail_is_whole(database: Database, anchors: Anchors) -> None:
    heard: list[int] = []
    verdict = check.verify(database, anchors, heard.append)
    newest = trail.head(database)
    assert newest
    assert verdict == Verdict(ROWS, ROWS, newest.hash, anchors=2)
    assert newest.hash in verdict.sentence


@pytest.mark.parametrize(
    ("statements", "row", "words"),
    [
        (["UPDATE audit SET detail = '{}' WHERE seq = 3"], 3, "row 3 was changed"),
        (["UPDATE audit SET actor = 'eve' WHERE seq = 10"], 10, "row 10 was changed"),
        (["DELETE FROM audit WHERE seq = 3"], 4, "row 4 does not follow row 2"),
        (["DELETE FROM audit WHERE seq = 1"], 2, "row 2 is not the first"),
        (["DELETE FROM audit WHERE seq > 7"], 8, "it ends at row 7, but on 2026-11-21T12:00:00+00:00 there was row 10"),
        (["DELETE FROM audit"], 1, "it ends at row 0"),
        (
            [
                "UPDATE audit SET seq = 99 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 4",
                "UPDATE audit SET seq = 4 WHERE seq = 99",
            ],
            3,
            "row 3 does not follow row 2",
        ),
    ],
    ids=["changed", "last changed", "removed", "first removed", "tail cut", "emptied", "swapped"],
)
def test_tampering_is_named(database: Database, anchors: Anchors, statements: list[str], row: int, words: str) -> None:
    run(database, *statements)
    seq, sentence = found(database, anchors)
    assert seq == row
    assert words in sentence


@pytest.mark.parametrize("seq", [0, 11], ids=["before the first", "behind the last"])
def test_a_row_slipped_in_is_named(database: Database, anchors: Anchors, seq: int) -> None:
    newest = trail.head(database)
    assert newest
    previous = GENESIS if seq == 0 else "0" * 63 + "1"
    fields = (NOW, "eve", "job.released", "job:1", "{}")
    with database.transaction() as connection:
        values = dict(zip(("at", "actor", "event", "subject", "detail"), fields, strict=True))
        sealed = seal(previous, *fields)
        connection.execute(insert(audit).values(seq=seq, previous_hash=previous, hash=sealed, **values))
    assert found(database, anchors)[0] == seq


def test_a_trail_that_was_written_anew_is_seen_by_its_anchors(database: Database, anchors: Anchors) -> None:
    rewrite(database, 7)
    seq, sentence = found(database, anchors)
    assert seq == 6
    assert "row 10 is not the one that was anchored" in sentence


def test_rows_that_follow_a_cut_do_not_hide_it(database: Database, anchors: Anchors) -> None:
    run(database, "DELETE FROM audit WHERE seq > 7")
    for _ in range(6):
        trail.note(database, "tests.noted")
    assert found(database, anchors)[0] == 6


def test_half_a_line_of_a_power_cut_spoils_no_anchor(database: Database, anchors: Anchors) -> None:
    with anchors.path.open("a") as file:
        file.write("1234 abc")
    trail.note(database, "tests.noted")
    assert Anchors(anchors.path).drop(database, NOW)
    assert not anchors.drop(database, NOW, every_s=60)
    verdict = check.verify(database, anchors)
    assert (verdict.anchors, verdict.unreadable, verdict.fault) == (3, 1, None)
    assert anchors.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", Form)
def test_an_export_proves_itself(database: Database, anchors: Anchors, tmp_path: Path, form: Form) -> None:
    assert anchors
    path = tmp_path / f"export.{form}"
    kept = list(export.lines(trail.rows(database, trail.Span(3, 8)), form))
    path.write_text("".join(kept), encoding="utf-8", newline="")
    verdict = export.verify_file(path)
    assert (verdict.rows, verdict.seq, verdict.fault) == (6, 8, None)
    path.write_text("".join(kept[:-3] + kept[-2:]), encoding="utf-8", newline="")
    assert "row 7 does not follow row 5" in export.verify_file(path).sentence
    path.write_text("".join(kept).replace("tests.noted", "tests.other", 1), encoding="utf-8", newline="")
    assert "row 3 was changed" in export.verify_file(path).sentence


def test_what_is_no_export_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "export"
    for text in ("{}\n", "a,b\n1,2\n", '{"seq": 1', '"seq,x\n'):
        path.write_text(text)
        with pytest.raises(InputError, match="is no export of an audit trail"):
            export.verify_file(path)
    with pytest.raises(InputError, match="No such file"):
        export.verify_file(tmp_path / "none")
