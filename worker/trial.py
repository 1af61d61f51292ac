"""Which rule would decide over images, and what would become of them: for the command line and the console."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dicom_node.errors import InputError, UnreadableInstance
from dicom_node.ledger import browse, receipts
from dicom_node.plans import Plan
from dicom_node.records import SeriesHeld, SeriesSkipped, SliceHeader, StackVerdict, ThickSeries
from dicom_node.series.headers import Refusals, read_header
from dicom_node.series.judge import judge, judge_one
from dicom_node.series.rules import Decision, decide, plan_of
from dicom_node.settings import RuleSettings
from worker.settings import Settings, destination_names
from worker.wiring import Node, engine_of

MOST_IMAGES = 2000
# What conditions are about, in words.
ABOUT: Mapping[str, str] = {
    "ae_title": "sent by", "modality": "Modality", "station": "station", "manufacturer": "manufacturer",
    "model": "scanner model", "series_description": "series description", "study_description": "study description",
    "protocol": "protocol", "body_part": "body part", "kernel": "kernel",
}  # fmt: skip
LIMITS: Mapping[str, str] = {
    "minimum_thickness_mm": "slices at least {:g} mm thick", "maximum_thickness_mm": "slices at most {:g} mm thick",
    "minimum_step_mm": "slices at least {:g} mm apart", "maximum_step_mm": "slices at most {:g} mm apart",
}  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """What would become of one stack; without a decision where rules are not asked, because of its verdict."""

    series_uid: str
    verdict: StackVerdict
    decision: Decision | None

    @property
    def outcome(self) -> tuple[str, str]:
        """State of the job, and the reason."""
        match self.verdict:
            case SeriesHeld(reason=reason):
                return "held", reason
            case SeriesSkipped(reason=reason):
                return "skipped", reason
        reason = self.decision.reason if self.decision else ""
        return "skipped" if reason else "restored", reason


def try_series(group: Sequence[SliceHeader], settings: Settings, ae_title: str) -> Iterator[Tried]:
    """The stacks of one series."""
    for verdict in judge(group, settings.series):
        yield _tried(group[0], verdict, settings, ae_title)


def try_one(header: SliceHeader, settings: Settings, ae_title: str) -> Tried:
    """One image, as if a whole stack were like it."""
    return _tried(header, judge_one(header, settings.series), settings, ae_title)


def read_series(node: Node, series_id: int) -> tuple[list[SliceHeader], Refusals, str]:
    """Headers of a series in the ledger, the images that cannot be read, and its AE title. InputError without any."""
    if browse.entry(node.database, series_id) is None:
        raise InputError(f"there is no series {series_id}")
    row, instances = receipts.read_series(node.database, series_id)
    if len(instances) > MOST_IMAGES:
        raise InputError(f"series {series_id} has {len(instances)} images, more than are tried at once")
    headers: list[SliceHeader] = []
    refusals: Refusals = []
    for item in instances:
        try:
            headers.append(read_header(Path(item.path), item.sha256))
        except UnreadableInstance as error:
            refusals.append((Path(item.path), str(error)))
    if not headers:
        raise InputError(f"no image of series {series_id} can be read any more: its files are no longer on this node")
    return headers, refusals, row.calling_ae


def as_json(item: Tried, settings: Settings) -> dict[str, Any]:
    """For programs."""
    state, reason = item.outcome
    shown = {"series_uid": item.series_uid, "label": item.verdict.label, "slices": len(item.verdict.slices)}
    shown |= {"state": state, "reason": reason}
    if item.decision is not None:
        shown["rule"] = item.decision.name
        shown["passed_over"] = [asdict(passed) for passed in item.decision.passed_over]
    if item.decision is not None and state == "restored":
        rule = item.decision.rule
        shown |= asdict(whole(item.decision.plan, settings)) | {"priority": rule.priority if rule else "normal"}
    return shown


def conditions(rule: RuleSettings) -> list[str]:
    """What a rule asks of a stack, in words; of nothing where it takes every one."""
    found = [
        f"{words} is {' or '.join(getattr(rule, key))}"
        if key != "ae_title"
        else f"{words} {' or '.join(getattr(rule, key))}"
        for key, words in ABOUT.items()
        if getattr(rule, key)
    ]
    found += ["contrast is given" if rule.contrast else "no contrast is stated"] if rule.contrast is not None else []
    return found + [words.format(value) for key, words in LIMITS.items() if (value := getattr(rule, key)) is not None]


def action(rule: RuleSettings, settings: Settings) -> str:
    """What a rule does, in words."""
    if not rule.restore:
        return "not restored"
    return describe(whole(plan_of(rule), settings)) + (", before others" if rule.priority == "stat" else "")


def whole(plan: Plan, settings: Settings) -> Plan:
    """The plan with what it leaves to the settings."""
    engine = engine_of(settings, plan)
    names = destination_names(settings) if plan.destinations is None else plan.destinations
    return Plan(engine.network, engine.target_spacing_mm, names)


def describe(plan: Plan) -> str:
    """What a plan wants, for people; empty where it leaves all to the settings."""
    wishes = [f"with {plan.network}"] if plan.network else []
    wishes += [f"at about {plan.target_spacing_mm:g} mm"] if plan.target_spacing_mm else []
    wishes += [f"to {', '.join(plan.destinations) or 'nobody'}"] if plan.destinations is not None else []
    return ", ".join(wishes)


def _tried(header: SliceHeader, verdict: StackVerdict, settings: Settings, ae_title: str) -> Tried:
    decision = decide(settings.rules, verdict, ae_title) if isinstance(verdict, ThickSeries) else None
    return Tried(header.series_instance_uid, verdict, decision)
