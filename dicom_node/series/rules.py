"""Which rule decides over a stack that can be restored, and why those before it do not. First match wins.

What a header says is the sender's word: it is cut, compared as text, and never reaches a ledger or a log. A sentence of
`why_not` shows one value made harmless, for the person who tries the rules on files of theirs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dicom_node.plans import Plan
from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.series.elements import readable
from dicom_node.settings import RuleSettings

NO_RULE = "no rule restores this series"
PRIORITIES = {"normal": 0, "stat": 1}
LONGEST_TEXT, MOST_VALUES = 64, 8
HAIR_MM = 0.01  # of rounding must not turn 5 mm away
# What conditions of text are compared with, by their key; ae_title is no part of a header.
TEXTS: Mapping[str, Callable[[SliceHeader], tuple[str, ...]]] = {
    "modality": lambda header: (header.modality,),
    "station": lambda header: (header.station,),
    "manufacturer": lambda header: (header.manufacturer,),
    "model": lambda header: (header.model,),
    "series_description": lambda header: (header.series_description,),
    "study_description": lambda header: (header.study_description,),
    "protocol": lambda header: (header.protocol,),
    "body_part": lambda header: (header.body_part,),
    "kernel": lambda header: header.convolution_kernel[:MOST_VALUES] or ("",),
}


@dataclass(frozen=True)
class PassedOver:
    """A rule that was asked before and does not fit: ``why`` names the first condition that does not hold."""

    rule: str
    why: str


@dataclass(frozen=True)
class Decision:
    """What becomes of a stack.

    Attributes
    ----------
    rule : RuleSettings or None
        The rule that decides; None where there are no rules, or none fits.
    reason : str
        Why the stack is not restored, for people; empty where it is. It names the rule, not what a header says.
    passed_over : tuple of PassedOver
        The rules before it.
    """

    rule: RuleSettings | None
    reason: str
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def name(self) -> str:
        """Name of the rule that decides; empty for none."""
        return "" if self.rule is None else self.rule.name

    @property
    def plan(self) -> Plan:
        """What the rule wants of the job."""
        return Plan() if self.rule is None else plan_of(self.rule)

    @property
    def priority(self) -> int:
        """Priority of the job: 1 for STAT."""
        return 0 if self.rule is None else PRIORITIES[self.rule.priority]


def decide(rules: Sequence[RuleSettings], stack: ThickSeries, calling_ae: str) -> Decision:
    """Find the first rule whose conditions all hold. Without any rules everything is restored.

    Parameters
    ----------
    calling_ae : str
        AE title of the sender.
    """
    passed_over: list[PassedOver] = []
    for rule in rules:
        why = why_not(rule, stack, calling_ae)
        if not why:
            reason = "" if rule.restore else f"the rule {rule.name!r} says that it is not restored"
            return Decision(rule, reason, tuple(passed_over))
        passed_over.append(PassedOver(rule.name, why))
    return Decision(None, NO_RULE if rules else "", tuple(passed_over))


def plan_of(rule: RuleSettings) -> Plan:
    """What a rule wants of its jobs."""
    return Plan(rule.network, rule.target_spacing_mm, rule.destinations)


def why_not(rule: RuleSettings, stack: ThickSeries, calling_ae: str) -> str:
    """The first condition of a rule that does not hold, as a sentence; empty where all hold.

    A condition holds where it holds for every slice.
    """
    return next(filter(None, _objections(rule, stack, calling_ae)), "")


def _objections(rule: RuleSettings, stack: ThickSeries, calling_ae: str) -> Iterator[str]:
    """What each condition has against a stack, in turn; empty where it holds."""
    yield _against_text("ae_title", rule.ae_title, {(calling_ae,)})
    for key, values in TEXTS.items():
        patterns: tuple[str, ...] = getattr(rule, key)
        yield _against_text(key, patterns, {values(header) for header in stack.slices}) if patterns else ""
    yield _against_contrast(rule, stack)
    for what, millimetres in (("thickness", stack.slice_thickness_mm), ("step", stack.step_mm)):
        least, most = getattr(rule, f"minimum_{what}_mm"), getattr(rule, f"maximum_{what}_mm")
        if least is not None and millimetres < least - HAIR_MM:
            yield f"{what} is {millimetres:.4g} mm, the rule wants at least {least:g} mm"
        if most is not None and millimetres > most + HAIR_MM:
            yield f"{what} is {millimetres:.4g} mm, the rule wants at most {most:g} mm"


def _against_text(key: str, patterns: Sequence[str], found: set[tuple[str, ...]]) -> str:
    """Why the values that the slices have do not all fit; one element may have several, of which one suffices."""
    others = sorted(values for values in found if not any(_fits(value, patterns) for value in values))
    if not patterns or not others:
        return ""
    shown = "\\".join(readable(value) or ("unreadable" if value else "missing") for value in others[0])
    some = " in some slices" if len(found) > 1 else ""
    return f"{key} is {shown}{some}, the rule wants {' or '.join(patterns)}"


def _fits(value: str, patterns: Sequence[str]) -> bool:
    text = value[:LONGEST_TEXT].casefold()
    return any(fnmatchcase(text, pattern.casefold()) for pattern in patterns)


def _against_contrast(rule: RuleSettings, stack: ThickSeries) -> str:
    if rule.contrast is None or {header.contrast for header in stack.slices} == {rule.contrast}:
        return ""
    given = "given" if any(header.contrast for header in stack.slices) else "not stated"
    return f"contrast is {given}, the rule wants it {'in every slice' if rule.contrast else 'in none'}"
