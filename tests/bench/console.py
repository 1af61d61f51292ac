"""Pictures of every page of the console, light, dark and on a phone: a real node with real jobs of a synthetic chest.

``python -m tests.bench.console docs/images``
"""

import io
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import insert

from deploy.demo.sender import send
from dicom_node.ledger import feedback, queries, users
from dicom_node.ledger.feedback import Fault, Verdict
from dicom_node.ledger.tables import feedback as table
from dicom_node.ledger.users import Role
from tests import servers
from tests.browser import DESK, Window, chromium, window
from tests.nodes import AE_TITLE, HOST, Node
from tests.phantom import chest, write_dicom
from tests.waiting import until
from worker.console.accounts import hash_password

PASSWORD = "a sentence is a good one"
ROOT = "1.2.826.0.1.3680043.8.498.79"
PAGES = {
    "now": "/", "series": "/series", "detail": "/series/1", "look": "/series/1#pictures-1", "held": "/held",
    "workers": "/workers", "partners": "/partners", "rules": "/rules", "feedback": "/feedback", "audit": "/audit",
    "notices": "/notices", "about": "/about", "users": "/users", "me": "/me",
}  # fmt: skip
RULES = """
[[rules]]
name = "not the head"
body_part = ["HEAD*", "BRAIN", "SKULL"]
restore = false

[[rules]]
name = "emergency room"
ae_title = "CT_ER"
minimum_thickness_mm = 3.0
priority = "stat"

[[rules]]
name = "every other chest"
body_part = ["CHEST*", "THORAX*"]
"""
LOOKS = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": ((390, 844), "light")}
COLOURS = 256


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Node, str]]:
    """A node, and where its console is: one series is verified, one held, one parked, and one is being restored."""
    port = servers.free_port()
    extra = {"console": f'port = {port}\npreviews = "{folder}/previews"', "send": "attempts = 1"}
    with ExitStack() as stack:
        with servers.qrscp(folder / "pacs") as pacs:
            node = Node(folder / "node", pacs, extra=extra, environment={"OMP_NUM_THREADS": "1"}, blocks=RULES)
            stack.callback(node.stop)
            node.start()
            users.add(node.ledger(), "ada", hash_password(PASSWORD), Role.ADMIN)
            scan(node, folder, 1)
            scan(node, folder, 2, missing=(20,))
            until("one is verified", lambda: state(node, 1) == "verified")
        scan(node, folder, 3, small=True)
        until("one is parked", lambda: state(node, 3) == "parked")
        with servers.qrscp(folder / "pacs", port=pacs.port):
            scan(node, folder, 4, small=True)
            until("another is verified", lambda: state(node, 4) == "verified")
            think(node)
            scan(node, folder, 5)
            until("one is being restored", lambda: state(node, 5) == "running")
            yield node, f"http://{HOST}:{port}"


def scan(node: Node, folder: Path, number: int, missing: tuple[int, ...] = (), *, small: bool = False) -> None:
    """Send a chest."""
    size = {"shape": (41, 64, 64), "pixel_mm": 5.4} if small else {"shape": (201, 256, 256), "pixel_mm": 1.35}
    thick = chest(**size).thick  # type: ignore[arg-type]
    uid = f"{ROOT}.{number}"
    images = write_dicom(thick, folder / f"scan{number}", series_uid=uid, seed=number, missing=missing)
    send(images, HOST, node.port, AE_TITLE, lambda _: None)


def think(node: Node) -> None:
    """Have people say what they think of the two results; and of many more, in the weeks before."""
    ledger, chance = node.ledger(), random.Random(5)
    feedback.give(ledger.acting_as("user vera"), 1, Verdict.ACCEPTED, None, "")
    (said,) = feedback.everything_about(ledger, 1)
    with ledger.transaction() as connection:
        for number, days in enumerate(sorted((chance.randint(1, 150) for _ in range(160)), reverse=True)):
            at = said.at - timedelta(days=days)
            fault = chance.choice(["noise", "noise", "artefact", "density"]) if chance.random() < 0.15 else ""
            values = {**asdict(said), "at": at, "day": at.date().isoformat(), "reason": fault}
            values |= {"verdict": Verdict.REJECTED if fault else Verdict.ACCEPTED}
            values |= {"calling_ae": ("SCANNER", "CT_ER")[number % 3 == 0]}
            del values["id"]
            connection.execute(insert(table).values(**values))
    feedback.give(
        ledger.acting_as("user ravi"), 3, Verdict.REJECTED, Fault.NOISE, "vessels of the left apex look blurred"
    )


def state(node: Node, number: int) -> str:
    """State of the job of a series."""
    found = queries.find_series(node.ledger(), f"{ROOT}.{number}")
    jobs = [job for item in found for job in queries.jobs_of(node.ledger(), item.id)]
    return jobs[-1].state if jobs else ""


def pictures(browser: Browser, root: str, folder: Path) -> None:
    """Take them all."""
    for look, (size, scheme) in LOOKS.items():
        with window(browser, root, size, scheme) as opened:
            opened.open("/login")
            take(opened, folder / f"console-login-{look}.png")
            opened.login("ada", PASSWORD)
            for name, path in PAGES.items():
                opened.open(path)
                take(opened, folder / f"console-{name}-{look}.png", whole=name == "detail" or look == "phone")


def take(opened: Window, path: Path, *, whole: bool = False) -> None:
    """One picture, with few colours so that it stays small."""
    content = opened.page.screenshot(full_page=whole)
    image = Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def main(folder: Path) -> None:
    """Make the stage, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, stage(Path(place)) as (_node, root), chromium() as browser:
        pictures(browser, root, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
