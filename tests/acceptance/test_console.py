"""The console of a real node in a real browser, with real small jobs: from the first token to a released result."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pydicom import dcmread

from deploy.demo.sender import send
from dicom_node.ledger import queries, switches, users
from dicom_node.ledger.users import Role
from tests import servers
from tests.browser import DESK, LIMIT_MS, PHONE, WALL, Window, chromium, window
from tests.nodes import AE_TITLE, HOST, Node
from tests.phantom import chest, write_dicom
from worker.console.accounts import hash_password

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = "1.2.826.0.1.3680043.8.498.78"
PASSWORD = "a sentence is a good one"
PAGES = (
    "/", "/series", "/series/1", "/held", "/workers", "/partners", "/rules", "/feedback", "/audit", "/notices",
    "/about", "/users", "/me",
)  # fmt: skip
# Notes what a series' line shows, whenever the page changes.
WATCH = """() => {
  const seen = {states: [], bars: [], estimates: []};
  window.seen_of_%(number)d = seen;
  const note = (list, value) => value !== undefined && list.at(-1) !== value && list.push(value);
  new MutationObserver(() => {
    const line = document.querySelector("#series-%(number)d .states");
    note(seen.states, line?.querySelector(".chip")?.lastChild.data);
    note(seen.bars, line?.querySelector("progress")?.getAttribute("value"));
    note(seen.estimates, line?.querySelector(".eta")?.textContent);
  }).observe(document.getElementById("main"), {subtree: true, childList: true, characterData: true, attributes: true});
}"""
SCRIPT = "<img src=x onerror=document.title='taken'>"


@dataclass
class Place:
    """A node with its console, its PACS, and a browser."""

    node: Node
    pacs: servers.Pacs
    folder: Path
    browser: Browser
    console_port: int

    @property
    def root(self) -> str:
        return f"http://{HOST}:{self.console_port}"

    def scan(self, number: int) -> None:
        """Send a small chest of nine slices; the first one so that the network restores it, which takes seconds."""
        thick = chest(shape=(41, 64, 64), pixel_mm=5.4).thick
        images = write_dicom(thick, self.folder / f"scan{number}", series_uid=f"{ROOT}.{number}", seed=number)
        for path in images if number == 1 else ():
            image = dcmread(path)
            image.ProtocolName = "SLOW"
            image.save_as(path)
        assert send(images, HOST, self.node.port, AE_TITLE, lambda _: None) == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A node whose second restoration dies, once, and for good."""
    folder = tmp_path_factory.mktemp("place")
    port = servers.free_port()
    extra = {
        "console": f'port = {port}\npreviews = "{folder}/previews"',
        "worker": f'results = "{folder}/results"\ndeaths_allowed = 1',
        "series": "quiet_s = 2.0\nquiet_released_s = 2.0",
        "[rules]": 'name = "by the network"\nprotocol = "SLOW"\nnetwork = "tvsrn_v2"',
        "[ rules ]": 'name = "the others"',
    }
    with ExitStack() as stack:
        pacs = stack.enter_context(servers.qrscp(folder / "pacs"))
        crash = {"THINSLICE_CRASH": f"restore.computed:{folder}/died", "OMP_NUM_THREADS": "1"}
        (folder / "died").touch()  # the first series is spared
        node = Node(folder / "node", pacs, extra=extra, environment=crash)
        place = Place(node, pacs, folder, None, port)  # type: ignore[arg-type]
        stack.callback(place.node.stop)
        place.node.start()
        place.browser = stack.enter_context(chromium())
        yield place


@pytest.fixture(scope="module")
def admin(place: Place) -> Iterator[Window]:
    """The first user of all, made by the token in the node's output."""
    (first,) = re.findall(r"http\S+/first\?token=\S+", place.node.log.read_text())
    with window(place.browser, place.root) as opened:
        opened.page.goto(first)
        for name, value in {"name": "ada", "password": PASSWORD, "again": PASSWORD}.items():
            opened.page.fill(f"[name={name}]", value)
        opened.page.click("text=Begin")
        expect(opened.page.locator(".headline")).to_contain_text("Ready for the first series")
        yield opened
        assert opened.complaints == []


def see(opened: Window, selector: str, text: str) -> None:
    """Wait until a part of the page says so, by itself."""
    expect(opened.page.locator(selector).first).to_contain_text(text, timeout=LIMIT_MS)


def watched(opened: Window, number: int) -> dict[str, list[str]]:
    """What was seen of a series since ``watch``: states, places of its progress bar, and estimates, as they came."""
    found: dict[str, list[str]] = opened.page.evaluate(f"window.seen_of_{number}")
    return found


def watch(opened: Window, number: int) -> None:
    """Note every change of a series' line while the page refreshes itself."""
    opened.page.evaluate(WATCH % {"number": number})


def test_a_series_is_watched_until_it_is_verified_and_looked_at(place: Place, admin: Window) -> None:
    """In one go, without reloading: what lasts too short to be seen is held up for a moment."""
    admin.open("/series")
    watch(admin, 1)
    ledger, pacs = place.node.ledger(), place.pacs.pid
    switches.pause(ledger, "to see it queued")
    place.scan(1)
    see(admin, "#series-1 .chip", "receiving")
    see(admin, "#series-1 .chip", "queued")
    os.kill(pacs, signal.SIGSTOP)
    try:
        switches.resume(ledger, "seen")
        see(admin, "#series-1 .chip", "running")
        see(admin, "#series-1 .chip", "sending")
    finally:
        os.kill(pacs, signal.SIGCONT)
    see(admin, "#series-1 .chip", "verified")
    seen = watched(admin, 1)
    way = ["receiving", "queued", "running", "restored", "sending", "sent", "verified"]
    assert seen["states"] == [state for state in way if state in seen["states"]]
    assert {"receiving", "queued", "running", "sending", "verified"} <= set(seen["states"])
    assert len(seen["bars"]) > 1
    assert seen["bars"] == sorted(seen["bars"], key=float)
    assert any("left" in estimate for estimate in seen["estimates"])
    admin.page.click("#series-1 a")
    see(admin, "h1 .chip", "verified")
    see(admin, ".steps li:last-child", "verified")
    figure = admin.page.locator("[data-compare]").first
    figure.locator("input").fill("20")
    assert figure.evaluate("f => f.querySelector('.stage').style.getPropertyValue('--cut')") == "20%"
    admin.page.click("#log summary")
    for event in ("series complete", "job restored", "delivery verified"):
        see(admin, "#log", event)


def test_a_series_is_watched_until_it_fails_without_reloading(place: Place, admin: Window) -> None:
    (place.folder / "died").unlink()
    admin.open("/series")
    admin.page.evaluate("window.here = 1")
    admin.page.fill("[name=text]", "half a wo")
    place.scan(2)
    see(admin, "#series-2 .chip", "receiving")
    see(admin, "#series-2 .chip", "failed")
    see(admin, "#series-2 .why", "died")
    assert admin.page.evaluate("window.here") == 1
    assert admin.page.input_value("[name=text]") == "half a wo"
    assert admin.page.evaluate("document.activeElement.name") == "text"
    admin.open("/workers")
    see(admin, ".log", "error: the restoring process died")


def test_a_failed_job_is_retried_and_seen_until_it_is_verified(place: Place, admin: Window) -> None:
    admin.open("/series/2")
    admin.page.evaluate("window.here = 0")
    admin.page.fill("#reason", SCRIPT)
    admin.page.click("text=Retry")
    see(admin, ".note", "Job 2 is queued again.")
    admin.page.evaluate("window.here = 1")
    see(admin, "h1 .chip", "verified")
    see(admin, ".steps li:last-child", "verified")
    assert admin.page.evaluate("window.here") == 1
    admin.page.click("text=What happened")
    see(admin, "#history", SCRIPT)
    assert admin.page.title() != "taken"
    row = next(row for row in queries.audit_of(place.node.ledger(), ["job:2"]) if row.event == "job.retry")
    assert row.actor == "user ada"


def test_open_details_stay_open_while_the_page_refreshes(admin: Window) -> None:
    with admin.page.expect_response(lambda answer: answer.url.endswith("/series/2")):
        pass
    expect(admin.page.locator("#history")).to_have_attribute("open", "")


def test_times_are_in_the_viewers_zone(admin: Window) -> None:
    written = admin.page.locator(".steps time").first
    at = written.get_attribute("datetime") or ""
    hour = (int(at[11:13]) + 1) % 24 if "T" in at else -1  # Berlin in winter; in summer two
    assert (written.text_content() or "")[-8:-6] in (f"{hour:02}", f"{(hour + 1) % 24:02}")


def test_the_slider_shows_more_or_less_of_the_thin_slices(admin: Window) -> None:
    admin.open("/series/1")
    assert admin.page.evaluate("[...document.images].filter(image => image.naturalWidth > 600).length") == 9
    figure = admin.page.locator("[data-compare]").first
    slider = figure.locator("input")
    slider.focus()
    cut = "f => f.querySelector('.stage').style.getPropertyValue('--cut')"
    assert figure.evaluate(cut) == "50%"
    admin.page.keyboard.press("Home")
    assert figure.evaluate(cut) == "0%"
    for _ in range(3):
        admin.page.keyboard.press("ArrowRight")
    assert figure.evaluate(cut) == "3%"
    with admin.page.expect_response(lambda answer: answer.url.endswith("/series/1")):
        pass
    admin.page.wait_for_timeout(200)
    assert figure.evaluate(cut) == "3%"


def test_who_looks_says_what_they_think_of_a_series(place: Place, admin: Window) -> None:  # noqa: ARG001 (makes the user)
    users.add(place.node.ledger(), "rita", hash_password(PASSWORD), Role.VIEWER)
    with window(place.browser, place.root) as opened:
        opened.login("rita", PASSWORD)
        opened.open("/series/1?window=lung")
        assert opened.page.evaluate("[...document.querySelectorAll('.difference img')].every(one => one.naturalWidth)")
        opened.page.select_option("#opinion-1 [name=reason]", label="noise or smoothing")
        opened.page.fill("#opinion-1 [name=remark]", SCRIPT)
        opened.page.click("text=I reject it")
        see(opened, ".note", "Noted: rejected.")
        see(opened, "#job-1", "has this series already")
        opened.open("/feedback")
        opened.page.click("section.card dd a >> nth=1")
        see(opened, "#said", SCRIPT)
        opened.page.click("#said td.id a")
        see(opened, "#job-1", "user rita")
        assert opened.page.title() != "taken"
        assert opened.complaints == []


def test_a_file_is_tried_on_the_rules(place: Place, admin: Window) -> None:
    admin.open("/rules")
    admin.page.set_input_files("[name=file]", next((place.folder / "scan1").iterdir()))
    admin.page.click("text='Try'")
    see(admin, "#outcome", "would be restored")


def test_somebody_who_looks_is_refused_what_others_do(place: Place) -> None:
    users.add(place.node.ledger(), "vera", hash_password(PASSWORD), Role.VIEWER)
    with window(place.browser, place.root) as opened:
        opened.login("vera", PASSWORD)
        for path in ("/", "/series/1", "/workers", "/partners"):
            opened.open(path)
            assert opened.page.locator("main form[method=post]:not(.opinion)").count() == 0
        form = "new URLSearchParams({csrf: document.querySelector('[name=csrf]').value, sure: 'yes', reason: 'mine'})"
        forged = f"fetch('/series/1/cancel', {{method: 'POST', body: {form}}}).then(answer => answer.status)"
        assert opened.page.evaluate(forged) == 403
        opened.open("/series/1")
        assert "verified" in opened.page.inner_text("h1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(place: Place, scheme: str, admin: Window) -> None:  # noqa: ARG001 (makes the user)
    with window(place.browser, place.root, scheme=scheme) as opened:
        opened.open("/login")
        found = opened.violations()
        opened.login("ada", PASSWORD)
        for path in PAGES:
            opened.open(path)
            found += opened.violations()
        assert found == []
        assert opened.complaints == []


@pytest.mark.parametrize("size", [PHONE, DESK, WALL], ids=str)
def test_every_page_fits(place: Place, size: tuple[int, int]) -> None:
    with window(place.browser, place.root, size) as opened:
        opened.login("ada", PASSWORD)
        for path in PAGES:
            opened.open(path)
            assert (path, opened.overflow()) == (path, 0)


def test_it_works_without_a_script(place: Place) -> None:
    with window(place.browser, place.root, script=False) as opened:
        opened.login("ada", PASSWORD)
        opened.page.fill("#reason", "a new GPU")
        opened.page.click("text=Pause")
        see(opened, ".headline", "Paused by user ada: a new GPU")
        opened.page.click("text=Resume")
        see(opened, ".note", "works again")
        opened.open("/series/1")
        assert opened.page.locator(".stage img").count() == 6
        see(opened, ".steps", " UTC")


def test_series_are_chosen_while_the_page_refreshes_and_sent_again(admin: Window) -> None:
    admin.open("/series")
    admin.page.check(".every")
    with admin.page.expect_response(lambda answer: answer.url.endswith("/series")):
        pass
    assert admin.page.is_checked("[name=series]")
    for other in admin.page.locator("[name=series]:not([value='1'])").all():
        other.uncheck()
    admin.page.click("button:text-is('Send to')")
    see(admin, "main", "under the same UIDs")
    assert (admin.violations(), admin.overflow()) == ([], 0)
    admin.page.click("text=Yes, send to")
    see(admin, ".note", "Job 1 is sent to")
    see(admin, "h1 .chip", "verified")


def test_a_held_result_is_released_after_a_restart_that_nobody_has_to_log_in_for(place: Place, admin: Window) -> None:
    assert place.node.stop() == 0
    place.node.extra["worker"] += "\nmaximum_rms_hu = 1e-6"
    place.node.start()
    place.scan(3)
    admin.open("/series/3")
    see(admin, ".reason.held", "the result contradicts its source")
    admin.page.click("button:text-is('Release')")
    see(admin, "main", "cannot be called back")
    assert admin.violations() == []
    admin.page.fill("[name=reason]", "looked at it")
    admin.page.click("text=Yes, release")
    see(admin, "h1 .chip", "verified")


def test_a_console_that_is_gone_is_said_and_comes_back(place: Place, admin: Window) -> None:
    admin.open("/")
    place.node.stop()
    see(admin, "#freshness", "does not answer since")
    see(admin, "#freshness", "every 8 s")
    started = time.monotonic()
    with admin.page.expect_request("**/"):
        pass
    assert time.monotonic() - started > 4  # seconds: it asks more and more seldom
    admin.complaints.clear()  # the browser tells of every connection that fails
    place.node.start()
    admin.page.evaluate("window.dispatchEvent(new Event('online'))")
    see(admin, "#freshness", "live")
    admin.complaints.clear()


def test_a_page_that_nobody_sees_rests(admin: Window) -> None:
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); "
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    admin.open("/series")
    admin.page.evaluate(hide % "true")
    asked: list[str] = []
    admin.page.on("request", lambda request: asked.append(request.url))
    admin.page.wait_for_timeout(3000)
    assert asked == []
    with admin.page.expect_response(lambda answer: answer.url.endswith("/series"), timeout=1500):
        admin.page.evaluate(hide % "false")
