"""The command that uses the engine without any network: files in, files out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from dicom_node.derive.writer import write_series
from dicom_node.errors import InputError
from dicom_node.ledger.jobs import job_key
from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.series.headers import by_series, read_folder
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from sr_engine import nifti
from sr_engine.settings import EngineSettings
from sr_engine.volume import ThinVolume, Volume
from worker.cli.common import DEFAULT_CONFIG, console
from worker.settings import Settings, load

NIFTI_ENDINGS = (".nii", ".nii.gz")
Report = Callable[[int, int], None]


def restore(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A NIfTI volume (.nii, .nii.gz) or a folder of DICOM.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The NIfTI file or the DICOM folder to write.")],
    network: Annotated[str, typer.Option(help="best, tvsrn_v2, cubic, linear.")] = "best",
    target_spacing: Annotated[
        float, typer.Option(metavar="MM", min=0.05, help="Wanted distance of thin slices.")
    ] = 1.0,
    weights: Annotated[Path | None, typer.Option(help="Other weights than those that come with the program.")] = None,
    untrained: Annotated[bool, typer.Option(help="Let a network run without weights.")] = False,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Settings for the series rules and the derived series.")
    ] = DEFAULT_CONFIG,
) -> None:
    """Restore thin slices without any network: a NIfTI volume, or a folder of DICOM that becomes a derived series."""
    engine = EngineSettings(
        network=network, target_spacing_mm=target_spacing, weights=weights, allow_untrained=untrained
    )  # fmt: skip
    if not source.exists():
        raise InputError(f"{source} does not exist")
    if source.is_dir():
        settings = load(config) if config.exists() else Settings()
        _restore_folder(source, target, settings.model_copy(update={"engine": engine}))
    elif source.name.endswith(NIFTI_ENDINGS):
        _restore_nifti(source, target, engine)
    else:
        raise InputError(f"{source} is neither a NIfTI file (.nii, .nii.gz) nor a folder of DICOM")


def _restore_nifti(source: Path, target: Path, engine: EngineSettings) -> None:
    if not target.name.endswith(NIFTI_ENDINGS):
        raise InputError(f"{target} must end in .nii or .nii.gz, as the input does")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} is no folder: make it first, or name another OUT")
    volume = nifti.load(source)
    with _bars("restoring") as (report,):
        thin = _restore_volume(volume, engine, report)
    nifti.save(target, thin.volume)
    console.print(f"{len(volume.voxels)} thick → {_summary(thin)}: {escape(str(target))}")


def _restore_folder(source: Path, target: Path, settings: Settings) -> None:
    headers, refused = read_folder(source)
    for path, reason in refused:
        console.print(f"[yellow]left out[/] {escape(path.name)}: {escape(reason)}")
    if not headers:
        raise InputError(f"{source} holds no DICOM image; nothing to restore")
    stacks = _stacks(headers, settings)
    if not stacks:
        raise InputError(f"{source} holds no stack that can be restored; the reasons are above")
    for number, thick in enumerate(stacks, 1):
        _restore_stack(thick, target if len(stacks) == 1 else target / str(number), settings)


def _stacks(headers: list[SliceHeader], settings: Settings) -> list[ThickSeries]:
    """The stacks that can be restored; tells why the others cannot."""
    stacks = []
    for group in by_series(headers).values():
        for verdict in judge(group, settings.series):
            if isinstance(verdict, ThickSeries):
                stacks.append(verdict)
            else:
                why = escape(f"{verdict.label} {verdict.reason}")
                console.print(f"[yellow]{len(verdict.slices)} images not restored[/] {why}")
    return stacks


def _restore_stack(thick: ThickSeries, target: Path, settings: Settings) -> None:
    _make_empty(target)
    with _bars("reading", "restoring", "writing") as (reading, restoring, writing):
        volume = load_volume(thick, settings.series, reading)
        thin = _restore_volume(volume, settings.engine, restoring)
        sources = [(item.sop_instance_uid, item.sha256) for item in thick.slices]
        key = job_key(
            thick.slices[0].series_instance_uid, sources, thin.model.digest, f"files {thin.volume.spacing_mm[0]}"
        )
        write_series(thick, thin, key, settings.derive, target, datetime.now().astimezone(), writing)
    console.print(f"{len(thick.slices)} thick → {_summary(thin)}: {escape(str(target))}")


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file of that name, or no right to write there
        raise InputError(f"the folder {target} cannot be made ({error.strerror}); name another") from error
    if any(target.iterdir()):
        raise InputError(f"{target} is not empty; name a new folder")


def _restore_volume(volume: Volume, engine: EngineSettings, report: Report) -> ThinVolume:
    from sr_engine.inference.restore import restore as run  # torch takes seconds: `thinslice status` does without

    thin = run(volume, engine, report)
    for doubt in thin.doubts:
        console.print(f"[yellow]unfamiliar[/] {escape(doubt)}")
    return thin


def _summary(thin: ThinVolume) -> str:
    check = thin.check
    lung = ""
    if check.lung_offset_hu is not None:
        lung = (
            f", in lung {check.lung_offset_hu:+.2f} HU; "
            f"LAA-950 {check.laa950_percent:.2f} %, source {check.source_laa950_percent:.2f} %"
        )
    return (
        f"{len(thin.volume.voxels)} thin slices at {thin.volume.spacing_mm[0]:g} mm with {thin.model.title} "
        f"(averaged back: mean offset {check.mean_offset_hu:+.2f} HU, RMS {check.rms_error_hu:.1f} HU{lung})"
    )


@contextmanager
def _bars(*parts: str) -> Iterator[list[Report]]:
    """A progress bar per named part; gives a ``(done, total)`` callback for each."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield [_reporter(progress, progress.add_task(part, total=1.0)) for part in parts]


def _reporter(progress: Progress, task: TaskID) -> Report:
    return lambda done, total: progress.update(task, completed=done / max(total, 1))


COMMANDS = {"restore": restore}
