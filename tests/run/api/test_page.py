"""The page at `/`: a person can browse and try the API, without leaving this server."""

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from run.api.contract import Contract

# A browser of the machine; Debian's, and its derivatives', is called so.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ALONE = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"),
)


def opened(url: str, profile: Path) -> str:
    """Return the page at a URL after a browser has run its scripts."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, "no browser on this machine: apt-get install --no-install-recommends chromium"
    # Milliseconds, on the clock of the page, which runs ahead while nothing is to be waited for.
    budget = "--virtual-time-budget=20000"
    command = [browser, *ALONE, f"--user-data-dir={profile}", budget, "--dump-dom", url]
    environment = {**os.environ, "HOME": str(profile)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True, env=environment)
    return unescape(done.stdout)


def test_a_browser_shows_every_operation(anyone, tmp_path):
    page = opened(f"{anyone.url}/", tmp_path)
    shown = set(re.findall(r'opblock-summary-method">(\w+)<.*?data-path="([^"]+)"', page, re.DOTALL))
    assert shown == {(operation.method, operation.path) for operation in Contract.load().operations}
    assert "Failed to load" not in page


def test_everything_that_it_loads_is_served_here(anyone):
    page = anyone.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in [*assets, "/v1/swagger.json"]:
        assert asset.startswith("/")
        answer = anyone.get(asset)
        assert answer.status_code == 200, asset
        assert len(answer.content) > 1000
        kind = {"css": "text/css", "js": "javascript", "json": "application/json"}
        assert kind[asset.rpartition(".")[2]] in answer.headers["Content-Type"]


def test_it_names_no_other_server(anyone):
    assert "://" not in anyone.get("/").text
    assert '"//' not in anyone.get("/").text


@pytest.mark.parametrize("path", ["nothing.js", "../service.py", "..%2f..%2fapp.py", "%2e%2e/x", ""])
def test_nothing_but_its_assets_is_served(anyone, path):
    assert anyone.get(f"/assets/{path}").status_code == 404
