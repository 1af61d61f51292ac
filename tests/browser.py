"""A headless Chromium on a node's console. What it complains about is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.servers import find_program

LIMIT_MS = 60_000
PHONE, DESK, WALL = (360, 780), (1440, 900), (3840, 2160)


@dataclass
class Window:
    """One person's browser.

    Attributes
    ----------
    complaints : list of str
        Errors on the browser's console, and exceptions in the page's script.
    """

    page: Page
    root: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page and wait until it is there with its pictures."""
        self.page.goto(self.root + path)
        self.page.wait_for_load_state("networkidle")

    def login(self, name: str, password: str) -> None:
        """Log in by the page."""
        self.open("/login")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.click("form.door button")
        self.page.wait_for_selector("nav")

    def violations(self) -> list[str]:
        """What axe-core finds serious or worse on this page."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{self.page.url} {item['id']}: {item['nodes'][0]['html'][:200]} {item['nodes'][0]['failureSummary'][:300]}"
            for item in found
            if item["impact"] in ("serious", "critical")
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return max(wide, 0)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, from start to end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_program("chromium"))
        yield browser
        browser.close()


@contextmanager
def window(
    browser: Browser, root: str, size: tuple[int, int] = DESK, scheme: str = "light", *, script: bool = True
) -> Iterator[Window]:
    """A window of its own, with no cookies; in Berlin, so that local times differ from UTC."""
    context: BrowserContext = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="Europe/Berlin",
        locale="en-GB",
        java_script_enabled=script,
    )
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    opened = Window(page, root)
    page.on("console", lambda said: opened.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    context.close()
