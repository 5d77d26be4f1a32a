"""A browser without a window, which tests drive."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.waiting import SLOWNESS

# A browser of the machine, and what drives it; Debian's, and its derivatives', are called so.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
# Seconds that a page, or a script of a test, may take.
PATIENCE = SLOWNESS * 60
_ALONE = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"),
)


@contextmanager
def open_browser(profile: Path, *, phone: bool = False) -> Iterator[webdriver.Chrome]:
    """Yield a browser with a new profile in a directory; as a phone, its screen is 375 pixels wide."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    assert program and driver, (
        "no browser on this machine: apt-get install --no-install-recommends chromium chromium-driver"
    )
    options = Options()
    options.binary_location = program
    for argument in (*_ALONE, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if phone:
        screen = {"width": 375, "height": 812, "pixelRatio": 3.0}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": screen})
    browser = webdriver.Chrome(options, Service(driver, env={**os.environ, "HOME": str(profile)}))
    try:
        browser.set_page_load_timeout(PATIENCE)
        browser.set_script_timeout(PATIENCE)
        yield browser
    finally:
        browser.quit()


def waiting(browser: webdriver.Chrome) -> WebDriverWait[webdriver.Chrome]:
    """Return what waits for a condition of a page that may be replaced, or change, while it is looked at.

    Meanwhile an element is missing or stale, and chromedriver answers some questions with an error of its own
    ("Node with given id does not belong to the document"): the condition is tried again. Raises
    TimeoutException after PATIENCE.
    """
    return WebDriverWait(browser, PATIENCE, ignored_exceptions=(WebDriverException,))


def leave_by(browser: webdriver.Chrome, act: Callable[[], object]) -> None:
    """Do what leads to another page, and wait until the browser shows it.

    A form is sent a moment after the click: what is read before then is still the old page, which a mark
    tells apart.
    """
    browser.execute_script("document.documentElement.dataset.left = ''")
    act()
    waiting(browser).until(
        lambda _: browser.execute_script("return !('left' in document.documentElement.dataset)")
    )
