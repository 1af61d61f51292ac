"""The first rule whose conditions all hold decides; each condition is a comparison of text or numbers, and no more."""

from typing import Any

import pytest

from dicom_node.plans import Plan
from dicom_node.records import ThickSeries
from dicom_node.series.judge import judge
from dicom_node.series.rules import NO_RULE, decide, why_not
from dicom_node.settings import RuleSettings
from tests.unit.dicom_node.series.samples import SETTINGS, stack

HEADER = {
    "station": "CT1", "manufacturer": "ACME", "model": "Scan 5000", "series_description": "Chest 5.0 B70f",
    "study_description": "CT Thorax", "protocol": "Thorax routine", "body_part": "CHEST", "contrast": True,
    "convolution_kernel": ("B70f", "3"),
}  # fmt: skip


def thick(**changes: Any) -> ThickSeries:
    """A stack that can be restored, 5 mm every 5 mm."""
    (verdict,) = judge(stack(**{**HEADER, **changes}), SETTINGS)
    assert isinstance(verdict, ThickSeries)
    return verdict


def rule(name: str = "r", **keys: Any) -> RuleSettings:
    return RuleSettings(name=name, **keys)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, ""),
        ({"modality": "CT"}, ""),
        ({"modality": "MR"}, "modality is CT, the rule wants MR"),
        ({"station": "ct?"}, ""),
        ({"station": ["ct2", "ct3"]}, "station is CT1, the rule wants ct2 or ct3"),
        ({"ae_title": "SCANNER*"}, ""),
        ({"ae_title": "OTHER"}, "ae_title is SCANNER1, the rule wants OTHER"),
        ({"manufacturer": "acme"}, ""),
        ({"model": "Scan 4*"}, "model is Scan 5000, the rule wants Scan 4*"),
        ({"series_description": "*[bB]70*"}, ""),
        ({"series_description": "chest"}, "series_description is Chest 5.0 B70f, the rule wants chest"),
        ({"study_description": "*THORAX*"}, ""),
        ({"protocol": "thorax*"}, ""),
        ({"body_part": ["HEAD", "CHEST"]}, ""),
        ({"kernel": "b7*"}, ""),
        ({"kernel": "3"}, ""),
        ({"kernel": "B3*"}, "kernel is B70f\\3, the rule wants B3*"),
        ({"contrast": True}, ""),
        ({"contrast": False}, "contrast is given, the rule wants it in none"),
        ({"minimum_thickness_mm": 5.0, "maximum_thickness_mm": 5.0, "minimum_step_mm": 5, "maximum_step_mm": 5}, ""),
        ({"minimum_thickness_mm": 6}, "thickness is 5 mm, the rule wants at least 6 mm"),
        ({"maximum_thickness_mm": 3}, "thickness is 5 mm, the rule wants at most 3 mm"),
        ({"minimum_step_mm": 5.5}, "step is 5 mm, the rule wants at least 5.5 mm"),
        ({"maximum_step_mm": 2}, "step is 5 mm, the rule wants at most 2 mm"),
        ({"body_part": "CHEST", "kernel": "B3*", "contrast": False}, "kernel is B70f\\3, the rule wants B3*"),
    ],
)
def test_a_condition_holds_or_says_why_not(keys: dict[str, Any], why: str) -> None:
    assert why_not(rule(**keys), thick(), "SCANNER1") == why


def test_without_rules_everything_is_restored_as_the_settings_say() -> None:
    decision = decide((), thick(), "CT1")
    assert (decision.name, decision.reason, decision.plan, decision.priority) == ("", "", Plan(), 0)


def test_the_first_that_fits_decides_and_those_before_it_say_why_they_do_not() -> None:
    rules = (
        rule("head", body_part="HEAD"),
        rule("lung", kernel="B7*", network="linear", target_spacing_mm=0.7, priority="stat", destinations=["main"]),
        rule("rest", restore=False),
    )
    decision = decide(rules, thick(), "CT1")
    assert (decision.name, decision.reason, decision.priority) == ("lung", "", 1)
    assert decision.plan == Plan("linear", 0.7, ("main",))
    assert [(item.rule, item.why) for item in decision.passed_over] == [
        ("head", "body_part is CHEST, the rule wants HEAD")
    ]
    assert decide(rules[::-1], thick(), "CT1").name == "rest"


def test_a_rule_that_restores_nothing_is_named_in_the_reason_and_no_value_of_the_header_is() -> None:
    decision = decide((rule("no lung kernels", kernel="B70f", restore=False),), thick(), "CT1")
    assert decision.reason == "the rule 'no lung kernels' says that it is not restored"


def test_where_no_rule_fits_nothing_is_restored() -> None:
    decision = decide((rule(body_part="HEAD"), rule(body_part="ABDOMEN")), thick(), "CT1")
    assert (decision.name, decision.reason, decision.plan) == ("", NO_RULE, Plan())


def test_a_condition_holds_only_where_it_holds_for_every_slice() -> None:
    mixed = stack(8, **HEADER) + stack(8, start=40.0, **{**HEADER, "protocol": "Biopsy", "contrast": False})
    (verdict,) = judge(mixed, SETTINGS)
    assert isinstance(verdict, ThickSeries)
    assert why_not(rule(protocol="Thorax*"), verdict, "") == "protocol is Biopsy in some slices, the rule wants Thorax*"
    assert why_not(rule(protocol=["Thorax*", "biopsy"]), verdict, "") == ""
    for contrast in (True, False):
        assert why_not(rule(contrast=contrast), verdict, "") != ""


def test_what_a_header_lacks_is_empty_text() -> None:
    bare = thick(body_part="", convolution_kernel=())
    assert why_not(rule(body_part="?*"), bare, "") == "body_part is missing, the rule wants ?*"
    assert why_not(rule(kernel="B*"), bare, "") == "kernel is missing, the rule wants B*"
    assert why_not(rule(body_part=["CHEST", ""], kernel="*"), bare, "") == ""


@pytest.mark.parametrize(
    "text",
    [
        "*", "[", "[!a]*", "(a+)+$", ".*", "\\", "%n%s", "{0}", "'; DROP TABLE job; --", "[red]x[/]", "\x00\x1b[2J\n",
        "Ärzte 東京", "\ud800", "A" * 100_000, "a?" * 50_000,
    ],
    ids=ascii,
)  # fmt: skip
def test_hostile_text_is_compared_as_text_and_shown_harmless(text: str) -> None:
    stack_ = thick(series_description=text, convolution_kernel=(text,) * 50)
    wanted = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"
    why = why_not(rule(series_description=wanted), stack_, text)
    assert why.isascii()
    assert why.isprintable()
    assert len(why) < 120
    assert not set("[]{}<>\\'\"%;") & set(why)
    assert why_not(rule(series_description="chest"), stack_, text) != ""
    assert len(why_not(rule(kernel="B30"), stack_, text)) < 300
    assert why_not(rule(series_description="*", kernel="*"), stack_, text) == ""


def test_a_rule_that_can_do_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum_step_mm is larger than maximum_step_mm: no series fits"):
        rule(minimum_step_mm=3, maximum_step_mm=2)
    with pytest.raises(ValueError, match="restore = false leaves nothing for network and priority to say"):
        rule(restore=False, network="cubic", priority="stat")
