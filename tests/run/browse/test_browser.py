"""The pages in a browser: usable by everybody, on any screen, and with the keyboard."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from local.api import api_process
from run.browse.status import run_url
from shared.catalog import AdminRun
from tests.run.browse.conftest import CATALOGUES, OWN, SAMPLES, Pages
from tests.run.browse.test_looks import bundle_of, new_file, path_of
from tests.run.browse.test_shapes import parquet
from tests.run.browse.test_tasks import DOCUMENT, WRITES
from tests.support.browser import open_browser, waiting
from tests.support.clouds import Clouds
from tests.support.hca_sample import id_of

# axe-core, as a script.
AXE = (files("axe_core_python") / "axe.min.js").read_text()
SERIOUS = ("serious", "critical")
# Pixels: the narrowest that WCAG asks for (1.4.10), and a screen of 4K.
NARROW, WIDE = 320, 3840
# The page, the width and the colours of each picture in docs/pages.md, and how many bytes it may have.
PICTURES = {
    "list": ("list of files", 1280, False),
    "list-phone": ("list of files", 390, True),
    "project": ("project", 1280, False),
    "bundle": ("bundle", 1280, False),
    "shape": ("shape", 1280, False),
    "charts": ("charts", 1280, False),
    "status": ("status", 1280, False),
}
FOLDER = DOCUMENT.parent / "pictures" / "pages"
MOST_OF_PICTURE = 100_000


class Window:
    """A browser, and the server that it asks."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self._url = url

    def open(self, path: str) -> None:
        self.browser.get(self._url + path)

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def resize(self, width: int) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def dark(self, is_dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def faults(self, *tags: str) -> list[str]:
        """Return what axe finds that is serious, by its rules with one of these tags, or by all."""
        self.run(AXE)
        found = self.browser.execute_async_script(
            "axe.run(arguments[0])"
            ".then(arguments[1], (error) => arguments[1]({violations: [{id: String(error)}]}))",
            {"runOnly": {"type": "tag", "values": tags}} if tags else {},
        )
        return [
            f"{each['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for each in found["violations"]
            if each.get("impact", "critical") in SERIOUS
            for node in each["nodes"]
        ]

    def sign_in(self, token: str) -> None:
        """Send a token with each request from now on; none if it is empty."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})

    def counts(self) -> dict[str, int]:
        """Return how many elements of some kinds the page has."""
        kinds = ("h1, h2, h3", "tbody tr", "main a", "input, button, select", "svg", "img")
        found = self.run(f"return {json.dumps(kinds)}.map((each) => document.querySelectorAll(each).length)")
        return dict(zip(kinds, found, strict=True))

    def picture(self) -> bytes:
        """Return a picture of what is in the window, as WebP."""
        taken = self.browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 60})
        return base64.b64decode(taken["data"])

    def complaints(self) -> list[str]:
        """Return what the browser has said of the page: of what its policy forbids, and of errors."""
        return [
            each["message"]
            for each in self.browser.get_log("browser")
            if "status of 40" not in each["message"]
        ]

    def rows(self) -> list[str]:
        # All at once: another page may come between two questions.
        rows: list[str] = self.run(
            "return Array.from(document.querySelectorAll('tbody th'), (each) => each.innerText.trim())"
        )
        return rows

    def until(self, condition: Any) -> None:
        waiting(self.browser).until(lambda _: condition())


@pytest.fixture(scope="module")
def paths(pages: Pages, clouds: Clouds) -> Mapping[str, str]:
    """The path of a page of each kind."""
    bundle = bundle_of(pages, clouds, "a.json", "b/c", "<script>")
    newer = bundle_of(pages, clouds, "a.json", uuid=bundle.uuid)
    table = new_file(pages, clouds, b"a,b\n1,2\n")
    deleted = bundle_of(pages, clouds, "a")
    pages.service.admin.delete(f"/v1/bundles/{deleted.uuid}", replica="gcp", json={"reason": "wrong"})
    return {
        "list": f"/browse?catalog={SAMPLES}&is.organ=brain&q=title",
        "list of files": f"/browse/files?catalog={SAMPLES}&is.organ=brain",
        "nothing found": f"/browse/files?catalog={SAMPLES}&q=nothing-of-the-kind",
        "values": f"/browse/files/values/organ?catalog={SAMPLES}",
        "project": f"/browse/projects/{id_of('project')}?catalog={SAMPLES}",
        "bundle": path_of("bundles", bundle),
        "changes": f"/browse/bundles/{bundle.uuid}/changes?from={bundle.version}&to={newer.version}",
        "table": f"{path_of('files', table)}&name=t.csv",
        "text": path_of("files", new_file(pages, clouds, b"text")),
        "image": path_of("files", new_file(pages, clouds, b"\x89PNG", "image/png")),
        "store": "/browse/store",
        "shape": path_of("files", new_file(pages, clouds, parquet())),
        "status": "/browse/status",
        "growth": f"/browse/growth?catalog={SAMPLES}",
        "charts": f"/browse/charts/files?catalog={SAMPLES}&is.organ=brain",
        "deleted": path_of("bundles", deleted),
        "error": f"/browse/files?catalog={OWN}&size=1",
    }


@pytest.fixture(scope="module")
def window(
    paths: Mapping[str, str], stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Window]:
    assert paths, "what the pages show is there before the server is"
    settings = {"DSS_CATALOGUES": json.dumps(CATALOGUES), "DSS_ADDRESS_UNITS": "1000000"}
    with (
        api_process(stack, settings) as process,
        open_browser(tmp_path_factory.mktemp("profile")) as browser,
    ):
        yield Window(browser, process.url)


def test_no_page_has_a_serious_fault(window: Window, paths: Mapping[str, str]) -> None:
    """By axe, in both colours; nor does a browser complain, or a page not fit the narrowest screen."""
    found = {}
    for name, path in paths.items():
        window.resize(1280)
        # Most rules, and most of the time, are not about colours.
        for is_dark, tags in ((False, ()), (True, ("cat.color",))):
            window.dark(is_dark)
            window.open(path)
            found[name, is_dark] = window.faults(*tags)
        requests = window.run("return performance.getEntriesByType('resource').length + 1")
        found[name, "requests"] = [] if requests <= 6 else [str(requests)]
        for width in (NARROW, WIDE):
            window.resize(width)
            needed = window.run("return document.documentElement.scrollWidth")
            found[name, width] = [] if needed <= width else [str(needed)]
    found["the browser", "says"] = window.complaints()

    assert {where: faults for where, faults in found.items() if faults} == {}


def test_no_page_of_operators_has_a_serious_fault(window: Window, pages: Pages, run: AdminRun) -> None:
    window.sign_in(pages.service.env["DSS_ADMIN_TOKEN"])
    found = {}
    try:
        for path in ("/browse/status", run_url(run)):
            window.resize(1280)
            for is_dark in (False, True):
                window.dark(is_dark)
                window.open(path)
                found[path, is_dark] = window.faults()
            for width in (NARROW, WIDE):
                window.resize(width)
                needed = window.run("return document.documentElement.scrollWidth")
                found[path, width] = [] if needed <= width else [str(needed)]
            assert window.run("return document.querySelectorAll('h2').length") > 1
    finally:
        window.sign_in("")

    assert {where: faults for where, faults in found.items() if faults} == {}


def test_pictures_of_the_documentation_show_what_pages_are(window: Window, paths: Mapping[str, str]) -> None:
    """By the numbers of what is on them. `make pages` takes them anew."""
    counted = {}
    for name, (page, width, is_dark) in PICTURES.items():
        window.resize(width)
        window.dark(is_dark)
        window.open(paths[page])
        counted[name] = window.counts()
        if WRITES:
            (FOLDER / f"{name}.webp").write_bytes(window.picture())
    if WRITES:
        (FOLDER / "counts.json").write_text(json.dumps(counted, indent=1) + "\n")

    assert counted == json.loads((FOLDER / "counts.json").read_text())
    assert {each.stem for each in FOLDER.glob("*.webp")} == PICTURES.keys()
    assert max(each.stat().st_size for each in FOLDER.glob("*.webp")) < MOST_OF_PICTURE
    assert set(re.findall(r"\(pictures/pages/([a-z-]+)\.webp\)", DOCUMENT.read_text())) == PICTURES.keys()


def test_a_filter_takes_effect_when_it_is_chosen(window: Window) -> None:
    window.resize(1280)
    window.open(f"/browse/files?catalog={SAMPLES}")
    assert len(window.rows()) == 4

    window.browser.find_element(By.CSS_SELECTOR, "input[name='is.organ'][value=liver]").click()

    window.until(lambda: window.rows() == ["third_1.fastq", "third_2.fastq"])
    assert "is.organ=liver" in window.browser.current_url
    assert "least" not in window.browser.current_url
    window.browser.back()
    window.until(lambda: len(window.rows()) == 4)


def test_lines_have_a_button_that_copies_or_selects_them(window: Window, paths: Mapping[str, str]) -> None:
    window.open(paths["bundle"])
    button = window.browser.find_element(By.CSS_SELECTOR, "[data-copies] button")
    button.click()

    window.until(lambda: button.text in ("Copied", "Selected: press Ctrl-C"))


def test_the_keyboard_suffices(window: Window) -> None:
    """To the content at once, and to what is found by words."""
    window.open(f"/browse/files?catalog={SAMPLES}")
    first = window.browser.switch_to.active_element
    first.send_keys(Keys.TAB)
    skip = window.browser.switch_to.active_element
    assert skip.text == "Skip to the content"
    skip.send_keys(Keys.ENTER)
    window.until(lambda: window.run("return document.activeElement.id") == "content")
    for _ in range(20):
        window.browser.switch_to.active_element.send_keys(Keys.TAB)
        if window.run("return document.activeElement.id") == "q":
            break
    width = "return getComputedStyle(document.activeElement).outlineWidth"
    assert window.run(width) == "3px"
    window.browser.switch_to.active_element.send_keys("first_1.fastq", Keys.ENTER)
    window.until(lambda: window.rows() == ["first_1.fastq"])
