"""`make demo`: a thick series goes in by C-STORE, a derived thin series stands in the PACS, confirmed."""

import argparse
import json
import shutil
import signal
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from deploy.demo import figures
from deploy.demo.sender import find_images, send
from deploy.demo.watch import watch
from dicom_node.errors import NodeError
from dicom_node.ledger.queries import JobView, deliveries_of
from dicom_node.records import ThickSeries
from dicom_node.series.headers import read_folder
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from dicom_node.settings import SeriesSettings
from sr_engine.errors import EngineError
from tests import servers
from tests.nodes import AE_TITLE, Node, running
from tests.phantom import Phantom, chest, write_dicom

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "bench" / "results"
console = Console(highlight=False)


def main() -> int:
    """Run the demonstration; 0 when a derived series was confirmed by the PACS."""
    wanted = _arguments()
    folder: Path = wanted.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    phantom, source = _source(wanted.input, folder)
    images = find_images(source)
    port = servers.free_port()
    with _pacs(wanted.pacs, folder, port) as pacs, running(Node(folder, pacs, port, network=wanted.network)) as node:
        started = time.monotonic()
        _send(images, port)
        uid = dcmread(images[0], specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID
        jobs = watch(node.ledger(), uid, console)
        return _report(jobs, node, source, phantom, time.monotonic() - started, wanted.results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--pacs", choices=("qrscp", "orthanc"), default="qrscp", help="the PACS to send to")
    parser.add_argument("--input", type=Path, help="folder of DICOM; default: a synthetic chest phantom")
    parser.add_argument("--network", default="best", help="best, tvsrn_v2, cubic, linear; default: %(default)s")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "demo", help="where everything is kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures are written as JSON")
    return parser.parse_args()


def _source(wanted: Path | None, folder: Path) -> tuple[Phantom | None, Path]:
    if wanted is not None:
        return None, wanted
    console.print("making a synthetic chest phantom: 5 mm slices whose 1 mm truth is known")
    phantom = chest()
    write_dicom(phantom.thick, folder / "input")
    return phantom, folder / "input"


def _pacs(name: str, folder: Path, node_port: int) -> AbstractContextManager[servers.Pacs]:
    if name == "orthanc":
        return servers.orthanc(folder / "pacs", node_ae=AE_TITLE, node_port=node_port)
    return servers.qrscp(folder / "pacs")


def _send(images: list[Path], port: int) -> None:
    with Progress(console=console) as progress:
        bar = progress.add_task("  a scanner sends", total=len(images))
        refused = send(images, servers.HOST, port, AE_TITLE, lambda n: progress.update(bar, completed=n))
    console.print(f"  {len(images) - len(refused)} of {len(images)} images received")
    for sentence in refused[:5]:
        console.print(f"  [yellow]refused[/] {escape(sentence)}")


def _report(
    jobs: list[JobView], node: Node, source: Path, phantom: Phantom | None, seconds: float, results: Path
) -> int:
    for job in jobs:
        console.print(f"[bold]{job.state}[/] {escape(job.label)} {escape(job.reason)}")
    verified = [job for job in jobs if job.state == "verified"]
    for job in verified:
        name = _tell_where(job, node)
        result = _figures(job, node.folder, source, phantom) | {"pacs": name, "seconds": round(seconds, 1)}
        _write_result(result, results / f"demo-{name if phantom else f'{name}-{source.name}'}.json")
    return 0 if verified else 1


def _tell_where(job: JobView, node: Node) -> str:
    pacs, by = node.pacs, deliveries_of(node.ledger(), job.id)[0].verified_by
    if pacs is None:
        raise NodeError("the demonstration needs a PACS")
    console.print(f"\nThe derived series stands in the PACS, confirmed by {by}:")
    console.print(f"  PACS    {pacs.ae_title} on {pacs.host}:{pacs.port} {pacs.url}")
    console.print(f"  study   {job.study_uid}\n  series  {job.derived_series_uid}")
    console.print(f"  files   {job.result}\n  {job.slices} thick slices → {job.thin_slices} thin slices")
    return pacs.name


def _figures(job: JobView, folder: Path, source: Path, phantom: Phantom | None) -> dict[str, Any]:
    """Print the figures, draw the picture, and return what goes into the result file."""
    thick = load_volume(_stack(source, job), SeriesSettings())
    derived = figures.read_derived(Path(job.result or ""), thick)
    title = (job.figures or {})["model"]
    result: dict[str, Any] = {"thick_slices": job.slices, "thin_slices": job.thin_slices, **(job.figures or {})}
    check = result["check"]
    console.print(
        f"  self-check: averaged back over the thick slices, the mean differs by {check['mean_offset_hu']:+.2f} HU "
        f"and the RMS difference is {check['rms_error_hu']:.1f} HU"
    )
    if phantom is not None:
        result["against_truth"] = figures.against_truth(phantom, derived)
        _print_errors(result["against_truth"], title)
    image = figures.picture(folder / "coronal.png", thick, derived, title, phantom.thin if phantom else None)
    console.print(f"\nPicture, coronal thick beside thin: [bold]{image}[/]")
    return result


def _stack(source: Path, job: JobView) -> ThickSeries:
    """The stack that a job restored, read from the demo's own input."""
    for verdict in judge(
        [item for item in read_folder(source)[0] if item.series_instance_uid == job.series_uid], SeriesSettings()
    ):
        if isinstance(verdict, ThickSeries) and verdict.label == job.label:
            return verdict
    raise NodeError(f"the input holds no stack {job.label!r} any more")


def _print_errors(errors: dict[str, dict[str, float]], title: str) -> None:
    table = Table("error against the known truth", "PSNR dB", "RMSE HU", "MAE HU", box=None)
    for name, row in errors.items():
        shown = f"derived series ({title})" if name == "derived" else name
        table.add_row(shown, f"{row['psnr_db']:.2f}", f"{row['rmse_hu']:.1f}", f"{row['mae_hu']:.1f}")
    console.print(table)


def _write_result(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"Figures: {path}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the node and the PACS end with us
    try:
        sys.exit(main())
    except (NodeError, EngineError, servers.ServerError) as error:
        console.print(f"[bold red]Error:[/] {escape(str(error))}")
        sys.exit(1)
