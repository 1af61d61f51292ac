"""The frozen records that cross the walls between rooms. A finished constructor means a valid record."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sr_engine.volume import SelfCheck


@dataclass(frozen=True)
class ReceivedInstance:
    """One image that the spool holds for good.

    Attributes
    ----------
    sha256 : str
        Hex digest of the data set as sent, without preamble and File Meta Information.
    path : Path
        Part 10 file in the spool; its name is made of hashes.
    calling_ae, peer_ip : str
        Who sent it; ``peer_ip`` is empty after a rebuild from the spool.
    received_at : datetime
        Aware, UTC.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    size: int
    sha256: str
    calling_ae: str
    peer_ip: str
    received_at: datetime


@dataclass(frozen=True)
class SliceHeader:
    """What the series room reads of one instance. Values as in the data set; None where absent or unusable.

    Attributes
    ----------
    position : tuple of 3 float or None
        ImagePositionPatient, mm, LPS.
    orientation : tuple of 6 float or None
        ImageOrientationPatient: row direction then column direction.
    pixel_spacing : tuple of 2 float or None
        (row spacing, column spacing), mm.
    station, manufacturer, model, series_description, study_description, protocol, body_part : str
        For rules alone: text of the sender's, shortened, empty where absent. It may be anything: only compared.
    contrast : bool
        ContrastBolusAgent has a value.
    """

    path: Path
    sha256: str
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    patient_key: str
    frame_of_reference_uid: str
    modality: str
    image_type: tuple[str, ...]
    transfer_syntax_uid: str
    rows: int
    columns: int
    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    pixel_spacing: tuple[float, float] | None
    slice_thickness: float | None
    spacing_between_slices: float | None
    gantry_tilt: float | None
    convolution_kernel: tuple[str, ...]
    acquisition_number: int | None
    instance_number: int | None
    series_number: int | None
    images_in_acquisition: int | None
    frames: int
    derived_by_us: bool
    problems: tuple[str, ...]
    resampled: bool = False
    station: str = ""
    manufacturer: str = ""
    model: str = ""
    series_description: str = ""
    study_description: str = ""
    protocol: str = ""
    body_part: str = ""
    contrast: bool = False


@dataclass(frozen=True)
class ThickSeries:
    """The ordered headers of ONE regular stack: position rises along the slice normal.

    Attributes
    ----------
    label : str
        What sets this stack apart inside its series, for people; empty when it is the only one.
    step_mm : float
        Distance of neighbouring slice centres along the normal, > 0.
    normal : tuple of 3 float
        Unit slice normal, row direction x column direction, LPS.
    slice_thickness_mm : float
        Nominal thickness, along the normal.
    shear_deg : float
        Angle between the normal and the line through the slices' corners, as a tilted gantry makes it; 0 where upright.
    """

    label: str
    slices: tuple[SliceHeader, ...]
    step_mm: float
    normal: tuple[float, float, float]
    slice_thickness_mm: float
    shear_deg: float = 0.0


@dataclass(frozen=True)
class SeriesHeld:
    """A stack that a person must look at: ``reason`` is one sentence for them."""

    label: str
    slices: tuple[SliceHeader, ...]
    reason: str


@dataclass(frozen=True)
class SeriesSkipped:
    """A stack that is none of our business: ``reason`` is one sentence."""

    label: str
    slices: tuple[SliceHeader, ...]
    reason: str


StackVerdict = ThickSeries | SeriesHeld | SeriesSkipped


@dataclass(frozen=True)
class DerivedInstance:
    """One stored instance of a result: a derived slice, or what is told about them; ``sha256`` is of the whole file."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class DerivedSeries:
    """A derived series on disk, checked and ready to leave.

    Attributes
    ----------
    series_instance_uid : str
        Of the derived images.
    instances : tuple of DerivedInstance
        The slices in order, then what goes with them, in series of their own of the same study.
    thin_slices : int
        How many thin slices were made, whether each is an instance or a frame.
    """

    study_instance_uid: str
    series_instance_uid: str
    folder: Path
    instances: tuple[DerivedInstance, ...]
    source_series_uid: str
    check: SelfCheck
    thin_slices: int

    @property
    def series_uids(self) -> tuple[str, ...]:
        """Every series that the instances form, the derived slices' first."""
        return tuple(dict.fromkeys(item.series_instance_uid for item in self.instances))


@dataclass(frozen=True)
class ReplacedResult:
    """A superseded result that some PACS has something of; its job's key tells which instance is what.

    ``sop_instance_uids`` are all of it, sorted: what a PACS stored last may not have been noted any more.
    """

    job_key: str
    thin_slices: int
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True)
class InstanceOutcome:
    """What a destination answered for one instance (PS3.4 B.2.3, PS3.7 C, PS3.18 10.5.3).

    ``status`` is None when no answer came.
    """

    sop_instance_uid: str
    status: int | None

    @property
    def stored(self) -> bool:
        """True for success 0x0000, the warnings 0xBxxx, which keep the instance, and 0x0111.

        That one says that the UID is there already: we sent it, for our UIDs name one content.
        """
        return self.status is not None and (self.status in {0x0000, 0x0111} or self.status & 0xF000 == 0xB000)


@dataclass(frozen=True)
class Refusal:
    """Someone who was not let in, or was cut off.

    Attributes
    ----------
    ae_title : str
        Empty where it did not come to tell.
    times : int
        How often, since it was last said of this address and reason.
    """

    peer_ip: str
    ae_title: str
    reason: str
    times: int


@dataclass(frozen=True)
class CommitmentReport:
    """A PACS's answer to a storage commitment request (PS3.4 J.3.3).

    Attributes
    ----------
    stored : tuple of str
        SOP Instance UIDs that the PACS has taken responsibility for.
    failed : tuple of (str, int)
        SOP Instance UIDs that it has not, each with its Failure Reason (0008,1197).
    """

    transaction_uid: str
    stored: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]
