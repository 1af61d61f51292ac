"""The safeguards of the way, each as an exact text of the program, and the tests that must notice when it is gone."""

from dataclasses import dataclass

JOBS = "tests/unit/dicom_node/ledger/test_jobs.py"
DELIVERIES = "tests/unit/dicom_node/ledger/test_deliveries.py"
CLOCK = "tests/unit/worker/test_clock.py"
SPOOL = "tests/unit/dicom_node/receive/test_spool.py"
RECEIVE = "tests/integration/test_receive_faults.py"
LEDGER = "tests/faults/test_ledger.py"
PACS = "tests/faults/test_pacs.py"
SOURCES = "tests/faults/test_sources.py"


@dataclass(frozen=True)
class Safeguard:
    """One safeguard.

    Attributes
    ----------
    file, text, without : str
        In ``file``, ``text`` stands once, and is replaced by ``without``.
    test : str
        A test that fails then.
    """

    name: str
    file: str
    text: str
    without: str
    test: str


SAFEGUARDS = (
    Safeguard(
        "fsync of the image before success",
        "dicom_node/durable.py",
        "        os.fsync(file.fileno())\n",
        "",
        f"{RECEIVE}::test_the_answer_leaves_after_file_rename_and_folders_are_synced",
    ),
    Safeguard(
        "fsync of its folder before success",
        "dicom_node/durable.py",
        '        crash.point("spool.renamed")\n        sync_folder(path.parent)\n',
        '        crash.point("spool.renamed")\n',
        f"{RECEIVE}::test_the_answer_leaves_after_file_rename_and_folders_are_synced",
    ),
    Safeguard(
        "refusal past the disk's watermark",
        "dicom_node/receive/spool.py",
        "if percent > self._disk_full_percent:",
        "if percent > 1000:",
        f"{SPOOL}::test_past_the_watermark_nothing_is_written",
    ),
    Safeguard(
        "fence of a job",
        "dicom_node/ledger/jobs.py",
        "job.c.id == claim_.job_id, job.c.fence == claim_.fence, job.c.state",
        "job.c.id == claim_.job_id, job.c.state",
        f"{JOBS}::test_a_worker_that_lost_its_lease_may_not_finish",
    ),
    Safeguard(
        "fence of a delivery",
        "dicom_node/ledger/deliveries.py",
        "(delivery.c.fence == claim_.fence) & ",
        "",
        f"{DELIVERIES}::test_a_resumed_delivery_sends_only_what_was_not_stored",
    ),
    Safeguard(
        "UNIQUE job_key",
        "migrations/versions/0001_ledger.py",
        '        sa.UniqueConstraint("job_key", name=op.f("uq_job_job_key")),\n',
        "",
        f"{LEDGER}::test_row_23_the_database_refuses_a_second_job_of_one_key",
    ),
    Safeguard(
        "job_key looked up before a job is made",
        "dicom_node/ledger/entries.py",
        "    if known is None:\n",
        "    if known is None or True:\n",
        f"{JOBS}::test_the_same_series_again_makes_no_second_job",
    ),
    Safeguard(
        "condition of a claim: still queued",
        "dicom_node/ledger/jobs.py",
        "job.c.state == JobState.QUEUED, job.c.due_at <= now",
        "job.c.due_at <= now",
        f"{JOBS}::test_only_one_of_many_workers_gets_a_job",
    ),
    Safeguard(
        "completion only of what was judged",
        "dicom_node/ledger/jobs.py",
        "                series.c.instances == instances,\n",
        "",
        "tests/unit/dicom_node/ledger/test_receipts.py",
    ),
    Safeguard(
        "a lease ends",
        "dicom_node/ledger/claims.py",
        'if row["lease_until"] < now or is_gone(row["owner"])]',
        'if is_gone(row["owner"])]',
        f"{JOBS}::test_a_living_worker_keeps_its_job_as_long_as_it_beats",
    ),
    Safeguard(
        "a job that kills its workers is stopped",
        "dicom_node/ledger/jobs.py",
        'poison = row["deaths"] + 1 >= deaths_allowed',
        "poison = deaths_allowed < 0",
        f"{JOBS}::test_a_job_that_kills_its_workers_fails_instead_of_killing_the_next",
    ),
    Safeguard(
        "ringing again",
        "dicom_node/ledger/claims.py",
        "where(due, table.c.rung_at.is_(None) | silent)",
        "where(due, table.c.rung_at.is_(None))",
        f"{CLOCK}::test_a_bell_that_nobody_heard_rings_again_after_a_while",
    ),
    Safeguard(
        "digest of every source before it is restored",
        "worker/steps/restore.py",
        "    if not intact:\n",
        "    if intact is None:\n",
        f"{SOURCES}::test_row_30_an_image_is_damaged_on_disk_after_it_was_acknowledged",
    ),
    Safeguard(
        "every C-STORE status is read",
        "worker/steps/deliver.py",
        "refused = [item for item in answers.all if not item.stored]",
        "refused = [item for item in answers.all if item.status is None]",
        f"{PACS}::test_row_19_pacs_cannot_understand_one_image",
    ),
    Safeguard(
        "the commitment report is read, not only awaited",
        "dicom_node/ledger/commitments.py",
        "    if not lost:\n        return DeliveryState.VERIFIED",
        "    if lost >= 0:\n        return DeliveryState.VERIFIED",
        f"{PACS}::test_row_20_pacs_accepts_then_loses",
    ),
    Safeguard(
        "the query's answer is compared with what was sent",
        "worker/steps/deliver.py",
        "    if not absent:\n",
        "    if absent is not None:\n",
        f"{PACS}::test_row_20_pacs_without_commitment_loses",
    ),
)
