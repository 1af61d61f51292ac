"""People in a real browser: in by an OpenID provider of another site, by a first password, and looking up a patient."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from dicom_node.ledger import users
from dicom_node.ledger.users import Role
from tests.browser import DESK, PHONE, Window, chromium, window
from tests.openid import CLIENT, provider
from tests.processes import HOST, free_port
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_series
from worker.console.accounts import FIRST_PASSWORD, hash_password
from worker.console.serving import ConsoleServer
from worker.wiring import Node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST, OWN = "abcd-efgh-jkmn-pqrs", "a sentence is a good one"


@dataclass
class Place:
    """A console whose people come by a provider or by password, and a browser."""

    node: Node
    browser: Browser
    root: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The provider is at localhost, the console at 127.0.0.1: two sites, as far as cookies go."""
    folder, port = tmp_path_factory.mktemp("people"), free_port()
    root = f"http://{HOST}:{port}"
    with ExitStack() as stack:
        people = {"ada": {"preferred_username": "Ada", "roles": ["admins"]}, "eve": {"preferred_username": "Eve"}}
        issuer = stack.enter_context(provider(folder, **people))
        (folder / "secret.txt").write_text("a secret that both know")
        node = open_at(
            folder,
            console=f'port = {port}\npublic_url = "{root}"\npreviews = "{folder}/previews"\npatient_data = "admin"',
            **{
                "console.oidc": f'issuer = "{issuer}"\nclient_id = "{CLIENT}"\nclient_secret_file = "secret.txt"',
                "console.oidc.roles": 'admin = ["admins"]',
            },
        )
        enter_series(node, folder / "in")
        server = ConsoleServer(node)
        stack.callback(server.stop)
        server.start()
        yield Place(node, stack.enter_context(chromium()), root)


def sent(opened: Window, subject: str, to: str = "/series/1") -> None:
    """Log in at the provider."""
    opened.open(to)
    opened.page.click("text=Log in with your hospital account")
    opened.page.click(f"button:text-is('{subject}')")
    opened.page.wait_for_url(f"{opened.root}/**")
    opened.complaints.clear()  # the provider's page has its own


def test_who_comes_by_the_provider_lands_where_they_wanted_and_looks_up_a_patient(place: Place) -> None:
    with window(place.browser, place.root) as opened:
        sent(opened, "ada")
        expect(opened.page.locator("h1")).to_contain_text("Series 1")
        assert opened.page.url == f"{place.root}/series/1"
        opened.page.fill("#why", "a call from the ward")
        opened.page.click("text=Show patient")
        expect(opened.page.locator("main dl")).to_contain_text("Patient ID")
        found = opened.violations()
        opened.page.go_back()
        opened.page.click("text=What happened")
        expect(opened.page.locator("#history")).to_contain_text("patient.viewed")
        for path in ("/users", "/users/ada", "/me", "/users"):
            opened.open(path)
            found += opened.violations()
        assert found == []
        assert opened.complaints == []


def test_it_works_without_a_script_too(place: Place) -> None:
    with window(place.browser, place.root, script=False) as opened:
        sent(opened, "ada", "/audit")
        opened.page.wait_for_url(f"{place.root}/audit")


def test_who_has_no_role_reads_why(place: Place) -> None:
    with window(place.browser, place.root) as opened:
        sent(opened, "eve")
        expect(opened.page.locator("[role=alert]")).to_contain_text("gives eve no role here")
        assert opened.violations() == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=str)
def test_a_first_password_leads_to_one_of_their_own(place: Place, size: tuple[int, int]) -> None:
    name = f"vera{size[0]}"
    users.add(place.node.database, name, hash_password(FIRST), Role.ADMIN, good_for=FIRST_PASSWORD)
    with window(place.browser, place.root, size) as opened:
        opened.login(name, FIRST)
        expect(opened.page.locator(".reason")).to_contain_text("Choose one of your own")
        for field, value in {"old": FIRST, "new": OWN, "again": OWN}.items():
            opened.page.fill(f"[name={field}]", value)
        opened.page.click("text=Change")
        expect(opened.page.locator(".headline")).to_be_visible()
        for path in ("/login", "/users", f"/users/{name}", "/me"):
            opened.open(path)
            assert (path, opened.overflow()) == (path, 0)
        assert opened.complaints == []
