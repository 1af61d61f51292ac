"""Words of the console: what a term means, and how a moment, a duration or a size reads. Shown on hover."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

MEANINGS: Mapping[str, str] = {
    "receiving": "Images of this series still arrive.",
    "complete": "No more images came for a while, and the slices form whole stacks.",
    "queued": "Waits for a worker to restore it.",
    "running": "A worker is restoring thin slices now.",
    "restored": "Thin slices are on this node's disk; they go to the PACS next.",
    "sending": "Thin slices are being sent to the PACS.",
    "sent": "The PACS has accepted every image, but has not confirmed that it keeps them.",
    "verified": "The PACS has confirmed that it has every image. Nothing is left to do.",
    "skipped": "None of this node's business, for the reason given. Nobody has to look.",
    "held": "Stopped because something is doubtful. A person has to look at it.",
    "failed": "The restoration did not succeed, through no fault of the images. Retry it, or read why.",
    "parked": "Stopped after too many tries. A retry goes on where it stopped.",
    "cancelled": "A person has stopped it. A retry takes that back.",
    "superseded": "More images came, and a newer result takes the place of this one.",
    "pending": "Waits to be sent to this PACS.",
    "verifying": "The PACS is being asked whether it has every image.",
    "waiting": "Waits for images that are on their way, or for the next try.",
    "reporting": "The scanner is being told.",
    "reported": "The scanner has taken the report.",
    "ready": "Works, or waits for work.",
    "refusing": "Does not take work, for the reason given.",
    "stopping": "Finishes what it has in hand, then ends.",
    "viewer": "Looks at everything but patients, and changes nothing.",
    "operator": "Acts on series, pauses and resumes, besides what a viewer may.",
    "admin": "Sees to users and verifies the audit trail, besides what an operator may.",
    "disabled": "Is not let in, until an admin enables them.",
    "thick": "As it came from the scanner: few slices, each several millimetres thick.",
    "thin": "As restored by this node: more slices, closer together.",
    "AE title": "Application Entity title: the name by which a DICOM device is called.",
    "PACS": "Picture Archiving and Communication System: the archive that radiologists read from.",
    "echo": "Asks whether the other side answers and knows us; for a PACS by C-ECHO.",
    "DICOMweb": "DICOM over the web's own protocol, HTTP.",
    "storage commitment": "A scanner asks this node to promise that it keeps its images, to delete its own.",
    "UID": "Unique identifier: the number by which DICOM names a series or an image.",
    "HU": "Hounsfield unit: the scale of CT density; air is -1000, water 0.",
    "median": "Half of the series were faster than this.",
    "p95": "95 of 100 series were faster than this.",
    "circuit": "After failed connections in a row this node waits before it tries the PACS again.",
    "mean_offset_hu": "Mean difference of the result, averaged back to thick slices, from what the scanner sent.",
    "rms_error_hu": "Root mean square of that difference: how far a typical voxel is off.",
    "max_slice_offset_hu": "The largest mean difference of any one slice.",
    "lung_offset_hu": "Mean difference inside the lung.",
    "minimum_hu": "Lowest density in the result.",
    "maximum_hu": "Highest density in the result.",
    "roughness_ratio": "How much neighbouring slices differ, against straight lines between thick ones (1 = equal).",
    "laa950_percent": "Low attenuation area: per cent of the lung below -950 HU in the result.",
    "source_laa950_percent": "The same in what the scanner sent.",
    "window_seam": "Steps between slices where two windows of the network meet, against those elsewhere (1 = no seam).",
    "tile_seam": "Steps inside slices where two tiles meet, against those elsewhere (1 = no seam).",
    "beyond_neighbours_percent": "Voxels more than 200 HU beyond all of the three nearest thick slices.",
    "beyond_range_percent": "Voxels more than 50 HU beyond everything in the source.",
    "max_slice_shift_hu": "How far the mean of any one slice lies beyond those of the nearest thick ones.",
    "rule": "The first of the node's rules that this series fits: it says with which network, and where to.",
    "accepted": "Somebody looked at the derived series and would read it.",
    "rejected": "Somebody looked at the derived series and would not read it, for the reason given.",
    "network_rms_hu": "How far the network's own output was off, before it was made consistent with its source.",
}  # fmt: skip
# Each state has a shape of its own, so that colour is never the only sign.
ICONS: Mapping[str, str] = {
    "receiving": "↓", "complete": "✓", "queued": "…", "running": "▸", "restored": "◆", "sending": "↑", "sent": "↑",
    "verified": "✓", "skipped": "–", "held": "‖", "failed": "✕", "parked": "P", "cancelled": "∅", "superseded": "»",
    "pending": "…", "verifying": "?", "waiting": "…", "reporting": "↑", "reported": "✓",
    "ready": "✓", "refusing": "✕", "stopping": "■", "accepted": "✓", "rejected": "✕",
    "disabled": "✕", "viewer": "○", "operator": "◐", "admin": "●",
}  # fmt: skip
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def meaning(term: str) -> str:
    """What a term means; empty for one that needs no explanation."""
    return MEANINGS.get(term, "")


def moment(at: datetime | None) -> Markup | str:
    """A moment in UTC; the page's script turns it into the viewer's zone."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def duration(seconds: float | None) -> str:
    """A duration in its two largest units."""
    if seconds is None:
        return "–"
    left = max(seconds, 0.0)
    parts: list[str] = []
    if left < 10:
        return f"{left:.1f} s"
    for size, unit in UNITS:
        if left >= size or (parts and unit != "s"):
            parts.append(f"{int(left // size)} {unit}")
            left %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def bytes_(size: float) -> str:
    """A size in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def number(value: float | None) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def figure(key: str) -> str:
    """What a figure of the self-check is called."""
    plain = key.removesuffix("_hu").removesuffix("_percent").replace("_", " ")
    return plain.replace("laa950", "LAA-950").replace("rms", "RMS")


def short(uid: str) -> str:
    """The beginning and the end of a long UID."""
    return uid if len(uid) <= 22 else f"{uid[:12]}…{uid[-8:]}"


def details(text: str) -> dict[str, Any]:
    """The detail of an audit row."""
    found = json.loads(text)
    plain = {key: ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in found.items()}
    return {key: value for key, value in plain.items() if value not in ("", None)}


FILTERS: Mapping[str, Callable[..., Any]] = {
    "moment": moment, "duration": duration, "bytes": bytes_, "number": number, "short": short, "figure": figure,
    "details": details,
}  # fmt: skip
