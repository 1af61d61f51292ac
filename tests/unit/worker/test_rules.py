"""What a rule says happens to the job: which network, how thin, how soon, and where to."""

from pathlib import Path

import pytest

from dicom_node.ledger import jobs, queries, receipts
from dicom_node.ledger.queries import JobView
from dicom_node.plans import Plan
from dicom_node.series.rules import NO_RULE
from sr_engine.errors import WeightsUnavailable
from sr_engine.inference import model as room
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_series, view
from worker.clock import Clock
from worker.embedded import LocalBell
from worker.readiness import Readiness
from worker.service import Clockwork
from worker.steps.judge import judge_series
from worker.steps.restore import restore_next
from worker.wiring import Node

PACS = "\n".join(
    f'[[send.pacs]]\nname = "{name}"\nae_title = "P"\nhost = "127.0.0.1"\nport = 1' for name in ("main", "research")
)
LINEAR = (
    '[[rules]]\nname = "thin"\nae_title = "CT1"\nprotocol = "CHEST*"\nnetwork = "linear"\ntarget_spacing_mm = 2.5\n'
)
TO_RESEARCH = 'destinations = ["research", "research"]\npriority = "stat"\n'
REST = '[[rules]]\nname = "rest"\n'
NEVER = '[[rules]]\nname = "never"\nbody_part = "chest"\nrestore = false\n'


def job_of(node: Node, folder: Path, seed: int = 7, calling_ae: str = "CT1") -> JobView:
    """The job of a small series that arrived and was judged."""
    series_id = enter_series(node, folder, seed, calling_ae)
    assert judge_series(node, series_id)
    (job,) = queries.jobs_of(node.database, series_id)
    return job


def restored(node: Node, job: JobView) -> JobView:
    assert restore_next(node, node.model_digests, lambda _claim: None)
    return view(node, job.id)


def figures_of(job: JobView) -> tuple[str, float]:
    """Which network, and how thin."""
    assert job.figures is not None
    return job.figures["model"], job.figures["spacing_mm"]


def key_of(node: Node, job: JobView) -> str:
    claim = jobs.claim(node.database, job.id, "host/boot/1/1", 60)
    assert claim is not None
    return claim.job_key


def sent_to(node: Node, job: JobView) -> list[str]:
    return [item.destination for item in queries.deliveries_of(node.database, job.id)]


def test_a_rule_s_network_spacing_priority_and_destinations_are_what_the_job_gets(tmp_path: Path) -> None:
    node = open_at(tmp_path, blocks=PACS + "\n" + LINEAR + TO_RESEARCH)
    job = job_of(node, tmp_path / "spool")
    assert (job.rule, job.model_name) == ("thin", "linear")
    assert job.plan == Plan("linear", 2.5, ("research", "research"))
    assert [item.priority for item in jobs.due_jobs(node.database, 60)] == [1]
    assert figures_of(restored(node, job)) == ("Linear interpolation", 2.5)
    assert sent_to(node, job) == ["research"]


def test_without_rules_a_job_is_as_it_was_before_there_were_any(tmp_path: Path) -> None:
    node = open_at(tmp_path, blocks=PACS)
    job = job_of(node, tmp_path / "spool")
    assert (job.rule, job.plan, job.state) == ("", Plan(), "queued")
    assert sent_to(node, restored(node, job)) == ["main", "research"]


@pytest.mark.parametrize(
    ("rules", "rule", "reason"),
    [
        (NEVER + REST, "never", "the rule 'never' says that it is not restored"),
        ('[[rules]]\nname = "head"\nbody_part = "HEAD"\n', "", NO_RULE),
    ],
)
def test_what_no_rule_restores_is_skipped_and_says_which_rule(
    tmp_path: Path, rules: str, rule: str, reason: str
) -> None:
    node = open_at(tmp_path, blocks=rules)
    job = job_of(node, tmp_path / "spool")
    assert (job.state, job.rule, job.reason) == ("skipped", rule, reason)
    rows = repr([view(node, job.id), queries.audit_of(node.database, [f"job:{job.id}", f"series:{job.series_id}"])])
    assert "CHEST" not in rows  # what the header says stays out of the ledger


def test_a_series_that_a_rule_skipped_is_judged_anew_when_the_rules_have_changed(tmp_path: Path) -> None:
    node = open_at(tmp_path, blocks=NEVER)
    job = job_of(node, tmp_path / "spool")
    for blocks, state, rule in (('[[rules]]\nname = "x"\nbody_part = "HEAD"', "skipped", ""), (REST, "queued", "rest")):
        node = open_at(tmp_path, blocks=blocks)
        receipts.reopen(node.database, job.series_id, "the rules have changed")
        assert judge_series(node, job.series_id)
        (again,) = queries.jobs_of(node.database, job.series_id)
        assert (again.id, again.state, again.rule) == (job.id, state, rule)
    assert restored(node, job).state == "restored"


def test_where_it_goes_and_how_soon_make_no_other_job_but_what_changes_the_result_does(tmp_path: Path) -> None:
    keys = []
    for number, changes in enumerate(("", TO_RESEARCH, "target_spacing_mm = 0.5\n", 'network = "linear"\n')):
        folder = tmp_path / str(number)
        folder.mkdir()
        node = open_at(folder, blocks=f"{PACS}\n{REST}{changes}")
        keys.append(key_of(node, job_of(node, folder / "spool")))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_two_rules_with_different_networks_are_both_restored_on_one_node(tmp_path: Path) -> None:
    """The node's own network is a third one."""
    other = '[[rules]]\nname = "second"\nae_title = "CT2"\nnetwork = "lanczos"\n'
    node = open_at(tmp_path, blocks=LINEAR + other + REST)
    found = [job_of(node, tmp_path / "spool" / ae, seed, ae) for seed, ae in enumerate(("CT1", "CT2", "CT3"))]
    assert [job.rule for job in found] == ["thin", "second", "rest"]
    networks = [figures_of(restored(node, job))[0] for job in found]
    assert networks == ["Linear interpolation", "Lanczos interpolation", "Cubic interpolation"]


def test_queued_jobs_follow_their_rule_to_another_network(tmp_path: Path) -> None:
    job = job_of(open_at(tmp_path, blocks=LINEAR), tmp_path / "spool")
    node = open_at(tmp_path, blocks=LINEAR.replace("linear", "lanczos").replace("2.5", "1.25"))
    clock = Clock(node, LocalBell(node))
    clock.start()
    clock.stop()
    moved = view(node, job.id)
    assert (moved.model_name, moved.plan.network, moved.plan.target_spacing_mm) == ("lanczos", "lanczos", 1.25)
    assert figures_of(restored(node, job)) == ("Lanczos interpolation", 1.25)


def test_a_job_keeps_its_network_where_the_node_has_it_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[engine] changes to another network; the job is for the old one, which a rule names now."""
    job = job_of(open_at(tmp_path, blocks=REST), tmp_path / "spool")
    other = '[[rules]]\nname = "other"\nae_title = "CT9"\nnetwork = "cubic"\n'
    monkeypatch.setenv("THINSLICE_ENGINE__NETWORK", "linear")
    node = open_at(tmp_path, blocks=other + REST)
    assert node.model.name == "linear"
    assert figures_of(restored(node, job))[0] == "Cubic interpolation"


def test_a_rule_s_network_without_weights_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.registry, "WEIGHTS_FOLDER", tmp_path)
    node = open_at(tmp_path, blocks='[[rules]]\nname = "v"\nnetwork = "vit"\n')
    with pytest.raises(WeightsUnavailable, match="network vit needs weights"):
        Clockwork(node)
    assert Readiness(node, "restore").model_digests() == frozenset()  # a worker of its own claims nothing
