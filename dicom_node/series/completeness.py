"""When a series has arrived. DICOM has no end mark: silence, a released association and the geometry must do."""

from collections.abc import Sequence

from dicom_node.records import SeriesHeld, StackVerdict, ThickSeries
from dicom_node.settings import SeriesSettings


def is_complete(
    verdicts: Sequence[StackVerdict],
    quiet_s: float,
    released: bool,
    settings: SeriesSettings,
) -> bool:
    """Whether to stop waiting for more slices of a series.

    Parameters
    ----------
    verdicts : sequence of StackVerdict
        What the slices that came so far would be judged as.
    quiet_s : float
        Seconds since the last slice came.
    released : bool
        Every association that brought slices ended by release, not by abort or loss.
    settings : SeriesSettings
        ``quiet_released_s`` is enough when everything is proven, ``quiet_s`` always is.

    Returns
    -------
    bool
        True: take the verdicts as they are. False: look again later.
    """
    if quiet_s >= settings.quiet_s:
        return True
    return quiet_s >= settings.quiet_released_s and released and _proven(verdicts)


def _proven(verdicts: Sequence[StackVerdict]) -> bool:
    """At least one stack to restore, none in doubt, and each as long as its scanner says.

    Skipped slices prove nothing: the first three slices of a long series are skipped as too few.
    """
    thick = [verdict for verdict in verdicts if isinstance(verdict, ThickSeries)]
    if not thick or any(isinstance(verdict, SeriesHeld) for verdict in verdicts):
        return False
    return all(_has_all_images(stack) for stack in thick)


def _has_all_images(stack: ThickSeries) -> bool:
    """Whether a stack has as many slices as ImagesInAcquisition states. 0 and absence state nothing, and prove nothing.

    A stack of several acquisitions is measured by the sum of theirs.
    """
    stated = {header.acquisition_number: header.images_in_acquisition or 0 for header in stack.slices}
    return all(stated.values()) and len(stack.slices) >= sum(stated.values())
