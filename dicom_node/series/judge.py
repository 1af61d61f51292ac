"""The one door of the series room: what becomes of every slice of one series, and why."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dicom_node.errors import GeometryError
from dicom_node.records import SeriesHeld, SeriesSkipped, SliceHeader, StackVerdict, ThickSeries
from dicom_node.series import eligibility
from dicom_node.series.geometry import order_stack, slice_normal
from dicom_node.series.stacks import Stack, split
from dicom_node.settings import SeriesSettings


def judge(headers: Sequence[SliceHeader], settings: SeriesSettings) -> tuple[StackVerdict, ...]:
    """Judge one series.

    Parameters
    ----------
    headers : sequence of SliceHeader
        All instances under one SeriesInstanceUID, in any order. An instance that came twice with equal content counts
        once.
    settings : SeriesSettings
        Limits and tolerances.

    Returns
    -------
    tuple of ThickSeries, SeriesHeld or SeriesSkipped
        Every instance in exactly one verdict. Held outweighs restored: where a mixture cannot be told apart for
        certain, nothing of it is restored.
    """
    headers = _without_repeats(headers)
    conflict = series_conflict(headers)
    if conflict:
        return (SeriesHeld("", headers, conflict),)
    ours, verdicts = _set_aside(headers)
    if ours:
        verdicts += _judge_ours(ours, settings)
    return tuple(verdicts)


def judge_one(header: SliceHeader, settings: SeriesSettings) -> StackVerdict:
    """Judge one slice as if slices like it lay side by side, as far as one tells.

    Their distance is taken from SpacingBetweenSlices, else from SliceThickness; that there are enough is believed.
    """
    beside = eligibility.not_ours(header)
    if beside:
        return SeriesSkipped("", (header,), beside)
    trouble = eligibility.unusable((header,), settings)
    if trouble:
        return SeriesHeld("", (header,), trouble)
    try:
        normal = slice_normal((header,))
        step = abs(header.spacing_between_slices or 0.0) or (header.slice_thickness or 0.0)
        x, y, z = (float(value) for value in np.asarray(header.position, dtype=float) + step * normal)
        stack = order_stack("", (header, replace(header, position=(x, y, z))), settings)
    except GeometryError as error:
        return SeriesHeld("", (header,), str(error))
    return _judge_thick(stack, settings)


def series_conflict(headers: Sequence[SliceHeader]) -> str | None:
    """Why no slice of a series can be trusted: its identity is contradictory."""
    if len({header.patient_key for header in headers}) > 1:
        return "conflict: slices of more than one patient share this series UID"
    if len({header.study_instance_uid for header in headers}) > 1:
        return "conflict: slices of more than one study share this series UID"
    if len({header.sop_instance_uid for header in headers}) < len(headers):
        return "conflict: one SOP Instance UID came with two different contents"
    return None


def _without_repeats(headers: Sequence[SliceHeader]) -> tuple[SliceHeader, ...]:
    """Each content once, in an order that does not depend on arrival: equal input gives equal verdicts."""
    unique = {(header.sop_instance_uid, header.sha256): header for header in headers}
    return tuple(unique[key] for key in sorted(unique))


def _set_aside(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[StackVerdict]]:
    ours: list[SliceHeader] = []
    others: dict[str, list[SliceHeader]] = {}
    for header in headers:
        reason = eligibility.not_ours(header)
        (others.setdefault(reason, []) if reason else ours).append(header)
    alone = len(others) + bool(ours) == 1
    return ours, [
        SeriesSkipped("" if alone else f"set aside: {reason}", tuple(members), reason)
        for reason, members in others.items()
    ]


def _judge_ours(ours: Sequence[SliceHeader], settings: SeriesSettings) -> list[StackVerdict]:
    slices = tuple(ours)
    few = eligibility.too_few(slices, settings)
    if few:
        return [SeriesSkipped("", slices, few)]
    trouble = eligibility.unusable(slices, settings)
    if trouble:
        return [SeriesHeld("", slices, trouble)]
    try:
        stacks = split(slices, settings)
    except GeometryError as error:
        return [SeriesHeld("", slices, str(error))]
    return [_judge_stack(stack, settings) for stack in stacks]


def _judge_stack(stack: Stack, settings: SeriesSettings) -> StackVerdict:
    try:
        normal = slice_normal(stack.slices)
        beside = (
            eligibility.too_few(stack.slices, settings)
            or eligibility.certainly_not_axial(normal)
            or eligibility.one_position(stack.slices, normal, settings)
        )
        if beside:
            return SeriesSkipped(stack.label, stack.slices, beside)
        thick = order_stack(stack.label, stack.slices, settings)
    except GeometryError as error:
        return SeriesHeld(stack.label, stack.slices, str(error))
    return _judge_thick(thick, settings)


def _judge_thick(thick: ThickSeries, settings: SeriesSettings) -> StackVerdict:
    beside = eligibility.out_of_scope(thick, settings)
    if beside:
        return SeriesSkipped(thick.label, thick.slices, beside)
    gaps = eligibility.unseen_between(thick)
    return SeriesHeld(thick.label, thick.slices, gaps) if gaps else thick
