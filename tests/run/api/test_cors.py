"""Pages of other origins, such as notebooks in browsers, call the API and read signed URLs."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import Chrome

from run.api.cors import CrossOrigin
from tests.run.api.conftest import NOTEBOOKS
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.browser import open_browser
from tests.support.clouds import Clouds
from tests.support.server_threads import in_thread

ELSEWHERE = "https://elsewhere.example.org"
# What a page sees of every answer (https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name), and
# what tells it nothing.
SAFELISTED = {"cache-control", "content-length", "content-type"}
FOR_BROWSERS = {
    *("connection", "content-security-policy", "date", "referrer-policy", "transfer-encoding"),
    *("x-content-type-options", "x-frame-options"),
}


def preflight(api: Api, path: str, method: str, headers: str = "", *, origin: str = ELSEWHERE) -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        **({"Access-Control-Request-Headers": headers} if headers else {}),
    }
    return api.signed_in(None).request("OPTIONS", path, headers=asked)


def names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"])
def test_a_browser_may_send_what_operations_read(anyone: Api, method: str) -> None:
    answer = preflight(
        anyone, f"/v1/bundles/{new_uuid()}", method, "authorization,content-type,if-match,range"
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert method.lower() in names(answer.headers["Access-Control-Allow-Methods"])
    allowed = names(answer.headers["Access-Control-Allow-Headers"])
    assert {"authorization", "content-type", "idempotency-key", "if-match", "range"} <= allowed
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_page_may_see_every_header_of_an_answer(api: Api, clouds: Clouds) -> None:
    # Of its own, so that no test before has copied it to where a direct URL leads.
    file = put_file(api, clouds.stage("gcp", new_uuid().encode()))
    for _ in range(11):
        bundle = put_bundle(api, "gcp", [file.named("a")])
    of = {"replica": "gcp", "headers": {"Origin": ELSEWHERE}}
    answers = [
        api.head(f"/v1/files/{file.uuid}", **of),
        api.get(f"/v1/files/{file.uuid}", **of),
        # This system has no workflows.
        api.get(f"/v1/files/{file.uuid}", directurl="true", **of),
        api.get(f"/v1/bundles/{bundle.uuid}", **of),
        api.get("/v1/bundles/all", per_page=10, **of),
        api.get("/v1/events", **of),
        api.get(f"/v1/bundles/{new_uuid()}", **of),
        api.put("/version", **of),
        api.signed_in(None).get("/v1/collections", **of),
    ]

    statuses = [one.status_code for one in answers]
    assert statuses[:5] + statuses[6:] == [200, 302, 503, 200, 206, 404, 405, 401]
    # One page of events, or the first of several: others have made some, too.
    assert statuses[5] in (200, 206)
    for answer in answers:
        exposed = names(answer.headers["Access-Control-Expose-Headers"]) | SAFELISTED | FOR_BROWSERS
        own = {name.lower() for name in answer.headers}
        assert own - exposed == {"access-control-allow-origin", "access-control-expose-headers"}, answer.url


def test_a_page_sees_what_the_gateway_answers_itself(anyone: Api) -> None:
    answer = anyone.get(f"/v1/bundles/{'x' * 9000}", headers={"Origin": ELSEWHERE})

    assert answer.status_code == 414
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_answers_to_no_page_have_no_such_headers(anyone: Api) -> None:
    assert not any("access-control" in name.lower() for name in anyone.get("/version").headers)


def test_a_deployment_names_the_origins_that_may_call(configured: Api) -> None:
    for origin, allowed in ((NOTEBOOKS, NOTEBOOKS), (ELSEWHERE, None), ("null", None)):
        first = preflight(configured, "/v1/bundles/all", "GET", "authorization", origin=origin)
        then = configured.get("/v1/bundles/all", replica="gcp", headers={"Origin": origin})

        assert ("Access-Control-Allow-Headers" in first.headers) == bool(allowed)
        for answer in (first, then):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in answer.headers["Vary"]


def test_a_deployment_may_allow_none() -> None:
    none = CrossOrigin(("none",))
    environ = {"REQUEST_METHOD": "GET", "HTTP_ORIGIN": ELSEWHERE}

    assert none.headers(environ) == [(b"vary", b"Origin")]
    assert "Access-Control-Allow-Methods" not in none.preflight(environ).headers


class Quiet(SimpleHTTPRequestHandler):
    """Serves a directory, and reports no request."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser with an empty page that another server has sent."""
    directory = tmp_path_factory.mktemp("elsewhere")
    (directory / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    with in_thread(server), open_browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.get(f"http://127.0.0.1:{server.server_port}/")
        yield browser


# Returns status, headers that the page sees, and text; or what went wrong.
FETCH = """
const [url, options, done] = arguments;
fetch(url, options)
  .then(async answer => done([answer.status, Object.fromEntries(answer.headers), await answer.text()]))
  .catch(error => done([0, {}, String(error)]));
"""


def test_a_page_elsewhere_calls_the_api_and_reads_signed_urls(
    notebook: Chrome, api: Api, file: Version, replica: str
) -> None:
    bundle = put_bundle(api, replica, [file.named("a.txt")])
    token = {"headers": {"Authorization": f"Bearer {api.token}"}}

    def fetch(url: str, **options: Any) -> Any:
        return notebook.execute_async_script(FETCH, url, options)

    # With a header that a browser asks about first.
    status, _, _ = fetch(f"{api.url}/v1/collections", **token)
    assert status in (200, 206)
    # Without.
    shown = f"{api.url}/v1/bundles/{bundle.uuid}?replica={replica}&version={bundle.version}"
    status, headers, text = fetch(f"{shown}&presignedurls=true")
    assert (status, headers["x-openapi-paginated-content-key"]) == (200, "bundle.files"), text
    [item] = api.get(shown.removeprefix(api.url), presignedurls="true").json()["bundle"]["files"]

    assert fetch(item["url"])[::2] == [200, "content of a file"]
    # Chromium asks first about ranges that have two ends, or none.
    status, headers, text = fetch(item["url"], headers={"Range": "bytes=-4"})
    assert (status, text) == (206, "file")
    assert headers["content-range"] == "bytes 13-16/17"
    redirected = fetch(f"{api.url}/v1/files/{file.uuid}?replica={replica}", **token)
    assert redirected[::2] == [200, "content of a file"]
