"""People sign in with a browser at the local issuer, and the API knows them."""

from collections.abc import Iterator
from subprocess import Popen

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

import dss as library
from tests.support.api import new_uuid, now
from tests.support.browser import PATIENCE, open_browser, waiting
from tests.support.command_line import dss_here, start
from tests.support.sign_in import address_in


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def fill(browser: Chrome, **fields: str) -> None:
    """Write into the fields of the page."""
    for name, text in fields.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)


def decide(browser: Chrome, decision: str) -> str:
    """Press a button of the page, and return the title of the next one."""
    before = browser.title
    browser.find_element(By.CSS_SELECTOR, f"button[value={decision}]").click()
    waiting(browser).until(lambda page: page.title not in ("", before))
    return browser.title


def address_of(process: "Popen[str]") -> str:
    """Return the address that a login prints."""
    assert process.stderr
    for line in process.stderr:
        if "http" in line and "?" in line:
            return address_in(line)
    raise AssertionError("the login has ended without an address")


@pytest.fixture
def login(stack: dict[str, str]) -> "Popen[str]":
    """A login that waits; its browser opens nothing, since the test does."""
    return start({"BROWSER": "true"}, "login", "--url", stack["DSS_URL"])


def ended(process: "Popen[str]") -> tuple[int, str]:
    assert process.stdout
    return process.wait(PATIENCE), process.stdout.read()


def test_who_signs_in_in_the_browser_may_write(login: "Popen[str]", browser: Chrome) -> None:
    browser.get(address_of(login))
    fill(browser, email="grace@example.org", group="dss", seconds="600")
    title = decide(browser, "allow")

    code, said = ended(login)

    assert (title, code) == ("Back to the terminal", 0)
    assert "as grace@example.org" in said
    # The API takes the token, of a profile that the login has made.
    client, uuid = library.Client(), new_uuid()
    client.put_collection(uuid, now(), [], name="mine")
    assert client.collection(uuid)["owner"] == "grace@example.org"
    assert dss_here({}, "logout").out.endswith(": revoked and forgotten\n")


def test_who_refuses_in_the_browser_has_no_login(login: "Popen[str]", browser: Chrome) -> None:
    browser.get(address_of(login))
    title = decide(browser, "deny")

    code, _ = ended(login)

    assert (title, code) == ("Not signed in", 4)
    assert dss_here({}, "logout", "--all").out == "there are no logins\n"


def test_a_code_is_entered_in_the_browser_of_another_machine(stack: dict[str, str], browser: Chrome) -> None:
    process = start({}, "login", "--url", stack["DSS_URL"], "--no-browser")
    browser.get(address_of(process))
    fill(browser, email="alan@example.org")
    title = decide(browser, "allow")

    code, said = ended(process)

    assert (title, code) == ("Signed in", 0)
    assert "as alan@example.org" in said
