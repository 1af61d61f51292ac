"""A job is claimed for one model alone, the urgent one first, and follows the node to another model."""

from sqlalchemy import update

from dicom_node.ledger import chain, jobs, models, queries, switches
from dicom_node.ledger.database import Database
from dicom_node.ledger.models import ModelChoice
from dicom_node.ledger.tables import job
from dicom_node.plans import Plan
from tests.unit.dicom_node.ledger.rows import claimed, queue

MINE, OTHER, THIRD = "d" * 64, "e" * 64, "f" * 64
NOW = {"": ModelChoice("tvsrn_v2", OTHER, "config", Plan())}


def set_columns(database: Database, job_id: int, **values: object) -> None:
    with database.transaction() as connection:
        connection.execute(update(job).where(job.c.id == job_id).values(**values))


def test_the_urgent_job_goes_first_then_the_oldest(database: Database) -> None:
    first, second = queue(database, "a"), queue(database, "b", "2.25.2")
    assert models.most_urgent(database, {MINE}) == first
    set_columns(database, second, priority=1)
    assert models.most_urgent(database, {MINE}) == second
    claimed(database, second)
    assert models.most_urgent(database, {MINE}) == first
    claimed(database, first)
    assert models.most_urgent(database, {MINE}) is None


def test_a_job_for_another_model_is_not_offered_but_seen(database: Database) -> None:
    queue(database)
    assert models.most_urgent(database, {OTHER}) is None
    assert models.waiting_for_others(database, {OTHER}) == "cubic"
    assert models.waiting_for_others(database, {MINE}) == ""


def test_nothing_is_offered_while_claims_are_paused(database: Database) -> None:
    job_id = queue(database)
    switches.pause(database, "update")
    assert models.most_urgent(database, {MINE}) is None
    switches.resume(database, "done")
    assert models.most_urgent(database, {MINE}) == job_id


def test_a_queued_job_follows_the_node_to_another_model_under_another_key(database: Database) -> None:
    job_id = queue(database)
    assert models.adopt(database, NOW, settled_s=60) == 0
    assert models.adopt(database, NOW, settled_s=0) == 1
    assert models.most_urgent(database, {OTHER}) == job_id
    claim = claimed(database, job_id)
    sources = [(f"2.25.1.{number}", "a" * 64) for number in range(4)]
    assert claim.job_key == jobs.job_key("2.25.1", sources, OTHER, "config")
    assert claim.model_digest == OTHER
    assert models.adopt(database, NOW, settled_s=0) == 0
    with database.reading() as connection:
        assert chain.first_bad_row(connection) is None


def test_only_queued_jobs_follow(database: Database) -> None:
    job_id = queue(database)
    claimed(database, job_id)
    assert models.adopt(database, NOW, settled_s=0) == 0


def test_a_job_that_is_there_already_for_the_new_model_replaces_the_old_one(database: Database) -> None:
    old, new = queue(database, "a"), queue(database, "b", "2.25.2")
    sources = [(f"2.25.1.{number}", "a" * 64) for number in range(4)]
    set_columns(database, new, job_key=jobs.job_key("2.25.1", sources, OTHER, "config"), model_digest=OTHER)
    assert models.adopt(database, NOW, settled_s=0) == 1
    view = queries.job_by_id(database, old)
    assert view is not None
    assert view.state == "superseded"
    assert models.most_urgent(database, {OTHER}) == new


def choices(**models: str) -> dict[str, ModelChoice]:
    """What the jobs of each rule are restored with; ``none`` stands for no rule."""
    plans = {"lung": Plan("tvsrn_v2", 0.7, ("all",))}
    return {
        name.replace("none", ""): ModelChoice(f"model {digest[0]}", digest, f"config {name}", plans.get(name, Plan()))
        for name, digest in models.items()
    }


def test_a_job_follows_its_rule_to_its_model_and_goes_where_it_was_decided(database: Database) -> None:
    ours, gone = queue(database, "a"), queue(database, "b", "2.25.2")
    set_columns(database, ours, rule="lung", plan=Plan("linear", 1.0, ("research",)))
    set_columns(database, gone, rule="was once", plan=Plan("linear", None, ()))
    assert models.adopt(database, choices(none=OTHER, lung=MINE), settled_s=0) == 0  # a model of the node's still
    assert models.adopt(database, choices(none=OTHER, lung=THIRD), settled_s=0) == 2
    first, second = claimed(database, ours), claimed(database, gone)
    assert (first.model_digest, first.plan) == (THIRD, Plan("tvsrn_v2", 0.7, ("research",)))
    assert (second.model_digest, second.plan) == (OTHER, Plan(None, None, ()))
    sources = [(f"2.25.1.{number}", "a" * 64) for number in range(4)]
    assert first.job_key == jobs.job_key("2.25.1", sources, THIRD, "config lung")


def test_a_worker_claims_for_each_of_its_models(database: Database) -> None:
    first, second = queue(database, "a"), queue(database, "b", "2.25.2")
    set_columns(database, first, model_digest=OTHER)
    assert models.most_urgent(database, {MINE}) == second
    assert models.most_urgent(database, {MINE, OTHER}) == first
    assert models.waiting_for_others(database, {MINE, OTHER}) == ""
