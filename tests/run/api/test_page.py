"""The page at `/api`: a person can browse and try the API, without leaving this server."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from run.api.contract import Contract
from run.api.page import CONTRACT_OF_PAGE, contract_of_page
from tests.support.api import Api
from tests.support.browser import open_browser, waiting


class Page:
    """The page in a browser, used as by a person."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        browser.get(url)
        self.find(".opblock")

    def find(self, selector: str) -> WebElement:
        """Return the element of a CSS selector, when it is shown."""

        def shown(_: Chrome) -> WebElement | None:
            return next((one for one in self.all(selector) if one.is_displayed()), None)

        found: WebElement = waiting(self.browser).until(shown, selector)
        return found

    def text_of(self, selector: str) -> str:
        """Return the text of the element, when it is shown and has some."""
        text: str = waiting(self.browser).until(lambda _: self.find(selector).text, selector)
        return text

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.browser.execute_script("arguments[0].click()", self.find(selector))

    def authorize(self, token: str) -> None:
        """Paste a token into the only field of the only box for sign-in."""
        self.click(".auth-wrapper .authorize")
        [field] = self.all(".dialog-ux input")
        field.send_keys(token)
        self.click(".dialog-ux button.authorize")
        self.click(".dialog-ux button.btn-done")

    def execute(self, operation: str) -> tuple[int, Any]:
        """Execute an operation, named by its id, as the form has it; return status and body of the answer."""
        block = block_of(operation)
        self.click(f"{block} .opblock-summary-control")
        self.click(f"{block} .try-out__btn")
        self.click(f"{block} .execute")
        status = self.text_of(f"{block} .live-responses-table tbody .response-col_status")
        body = self.text_of(f"{block} .live-responses-table tbody .highlight-code pre")
        return int(status.split()[0]), json.loads(body)


def block_of(operation: str) -> str:
    """Return the CSS selector of the part of the page for an operation."""
    return f".opblock:has(a[href='#/{operation.partition('.')[0]}/{operation}'])"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser: Chrome, anyone: Api) -> Page:
    return Page(browser, f"{anyone.url}/api")


def test_a_browser_shows_every_operation_in_the_group_of_its_area(page: Page) -> None:
    # In one script: each question to the browser takes a while.
    shown = page.browser.execute_script("""
        const all = (element, selector) => [...element.querySelectorAll(selector)];
        return all(document, ".opblock-tag-section").flatMap((section) =>
            all(section, ".opblock-tag").flatMap((group) =>
                all(section, ".opblock").flatMap((block) =>
                    all(block, ".opblock-summary-method").flatMap((method) =>
                        all(block, ".opblock-summary-path").map((path) =>
                            [group.dataset.tag, method.innerText, path.dataset.path])))));
    """)

    assert set(map(tuple, shown)) == {
        (operation.operation_id.partition(".")[0], operation.method, operation.path)
        for operation in Contract.load().operations
    }
    assert "Failed to load" not in page.browser.page_source


@pytest.mark.parametrize("scheme", ["", "Bearer "])
def test_a_person_signs_in_with_a_bare_token_or_a_header(
    page: Page, stack: dict[str, str], scheme: str
) -> None:
    page.authorize(scheme + stack["DSS_TOKEN"])

    status, body = page.execute("collections.list_own")
    assert (status in (200, 206), list(body)) == (True, ["collections"])


def test_who_has_not_signed_in_is_refused(page: Page) -> None:
    status, body = page.execute("collections.list_own")

    assert (status, body["code"]) == (401, "Unauthorized")


def test_replicas_are_preset(page: Page) -> None:
    block = block_of("bundles.list_all")
    status, body = page.execute("bundles.list_all")

    assert status in (200, 206)
    assert body["object"] == "list"
    request = page.find(f"{block} .request-url").text
    assert parse_qs(urlsplit(request).query)["replica"] == ["gcp"]
    assert (
        Select(page.find(f"{block} tr[data-param-name=replica] select")).first_selected_option.text == "gcp"
    )


def test_it_fits_a_phone(anyone: Api, tmp_path) -> None:
    with open_browser(tmp_path, phone=True) as browser:
        page = Page(browser, f"{anyone.url}/api")
        width = "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
        shown, needed = page.browser.execute_script(width)
        assert shown == 375 >= needed


def test_its_contract_is_the_served_one_but_for_groups_sign_in_and_replica(anyone: Api) -> None:
    served, shown = (anyone.get(path).json() for path in ("/v1/swagger.json", CONTRACT_OF_PAGE))

    assert shown == contract_of_page(served)
    assert [*shown["securityDefinitions"]] == ["token"]
    assert len(served["securityDefinitions"]) == 2
    assert not any(
        "tags" in operation for methods in served["paths"].values() for operation in methods.values()
    )
    for document in (served, shown):
        for methods in document["paths"].values():
            for operation in methods.values():
                for name in ("tags", "security", "parameters"):
                    operation.pop(name, None)
        for name in ("tags", "securityDefinitions"):
            document.pop(name, None)
    assert shown == served


def test_every_group_is_described(anyone: Api) -> None:
    shown = anyone.get(CONTRACT_OF_PAGE).json()

    used = {tag for methods in shown["paths"].values() for one in methods.values() for tag in one["tags"]}
    assert {tag["name"] for tag in shown["tags"]} == used
    assert all(tag["description"] for tag in shown["tags"])


def test_everything_that_it_loads_is_served_here(anyone):
    page = anyone.get("/api")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in [*assets, CONTRACT_OF_PAGE]:
        assert asset.startswith("/")
        answer = anyone.get(asset)
        assert answer.status_code == 200, asset
        assert len(answer.content) > 1000
        kind = {"css": "text/css", "js": "javascript", "json": "application/json"}
        assert kind[asset.rpartition(".")[2]] in answer.headers["Content-Type"]


def test_the_root_leads_to_the_pages_for_people(anyone: Api) -> None:
    answer = requests.get(f"{anyone.url}/", allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/browse")


def test_it_names_no_other_server(anyone):
    assert "://" not in anyone.get("/api").text
    assert '"//' not in anyone.get("/api").text


@pytest.mark.parametrize("path", ["nothing.js", "../service.py", "..%2f..%2fapp.py", "%2e%2e/x", ""])
def test_nothing_but_its_assets_is_served(anyone, path):
    assert anyone.get(f"/assets/{path}").status_code == 404
