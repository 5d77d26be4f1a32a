"""Objects of web servers become files, read in ranges of what was listed, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.catalog import ImportJob
from shared.checksums import MIB, checksums_of
from shared.imports.rules import bundle_uuid
from shared.imports.web import WebStore
from shared.webhooks.callbacks import Callbacks, networks_of
from tests.support.clouds import Clouds
from tests.support.copies import distinct_bytes
from tests.support.import_runs import Deadly, Imports, imports_in_process
from tests.support.short_pauses import short_pauses
from tests.support.web_objects import WebObjects, web_objects


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebObjects]:
    with web_objects(tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture(scope="module")
def imports(stack: dict[str, str], web: WebObjects) -> Iterator[Imports]:
    sources = json.dumps([{"url": f"{web.url}/open/", "groups": ["dss"]}])
    with imports_in_process(stack, DSS_SOURCES=sources, DSS_INLINE_VERIFY_BYTES=str(MIB)) as found:
        callbacks = Callbacks(networks_of(["127.0.0.0/8", "::1/128"]), authorities=web.certificate)
        with short_pauses():
            yield replace(found, web=WebStore(callbacks))


def table_of(clouds: Clouds, *urls: str) -> str:
    """Return the URL of a table in which each object is a file of the bundle of its own URL."""
    rows = ["source_url\tbundle\tname", *(f"{url}\t{url}\tfile" for url in urls)]
    return clouds.stage("gcp", "\n".join(rows).encode(), metadata={})


def imported(imports: Imports, clouds: Clouds, *urls: str) -> ImportJob:
    """Return an import of objects."""
    return imports.imported(imports.order(table=table_of(clouds, *urls)))


def content_of(imports: Imports, clouds: Clouds, url: str) -> bytes:
    """Return the content of the file that an object has become."""
    head = imports.dss.catalog.bundles.newest(bundle_uuid("", url), "gcp")
    assert head, f"{url} is not in"
    [file] = imports.dss.catalog.bundles.files(head, 0, 1)
    content = clouds.read("gcp", file.checksums.blob_key)
    assert file.checksums == checksums_of(content)
    return content


@pytest.mark.parametrize("size", [0, 10, 3 * MIB], ids=["empty", "small", "one part"])
def test_an_object_of_a_web_server_becomes_a_file(
    imports: Imports, web: WebObjects, clouds: Clouds, size: int
) -> None:
    data = distinct_bytes(size)
    url = web.put(f"/open/{size}/reads.bam", data)

    job = imported(imports, clouds, url)

    assert imports.counts(job)["files"] == 1, imports.report(job)
    assert content_of(imports, clouds, url) == data


def test_a_large_one_is_read_once_though_steps_die_between_its_parts(
    imports: Imports, web: WebObjects, clouds: Clouds
) -> None:
    data = distinct_bytes(64 * MIB + 5)
    url = web.put("/open/large.bam", data)
    job = imports.listed(imports.order(table=table_of(clouds, url)))
    web.asked.clear()
    faults = Deadly(at=1)

    job = replace(imports, dss=replace(imports.dss, faults=faults)).go_on(job)  # type: ignore[arg-type]

    assert faults.reached[0] == "import: part hashed"
    assert imports.counts(job)["files"] == 1, imports.report(job)
    assert content_of(imports, clouds, url) == data
    ranges = [span for method, _, span in web.asked if method == "GET"]
    assert len(ranges) == len(set(ranges)) == 9


def test_redirects_are_followed_to_where_the_object_is(
    imports: Imports, web: WebObjects, clouds: Clouds
) -> None:
    web.put("/elsewhere/x", b"content")
    web.redirects["/open/moved"] = "/elsewhere/x"
    url = f"{web.url}/open/moved"

    job = imported(imports, clouds, url)

    assert imports.counts(job)["files"] == 1, imports.report(job)
    assert content_of(imports, clouds, url) == b"content"


def test_what_can_not_be_imported_is_named_with_the_reason(
    imports: Imports, web: WebObjects, clouds: Clouds
) -> None:
    web.refused |= {"/open/secret": 403, "/open/broken": 500}
    web.redirects |= {"/open/round": "/open/round", "/open/inward": "http://169.254.169.254/token"}
    reasons = {
        f"{web.url}/open/nothing": "no such object",
        f"{web.url}/open/secret": "answers 403",
        f"{web.url}/open/broken": "answers 500",
        f"{web.url}/open/round": "redirects more than",
        f"{web.url}/open/inward": "not an https URL",
        web.put("/open/timeless", b"x", tells_time=False): "does not tell when it was written",
        web.put("/closed/x", b"x"): "may not put files from",
        web.put("/open/future", b"x", written=4_000_000_000.0): "ahead of",
        "https://user@localhost/open/x": "not an https URL",
        "http://localhost/open/x": "not a supported scheme",
    }
    good = web.put("/open/good", b"good")

    job = imported(imports, clouds, *reasons, good)

    lines = [line for line in imports.report(job) if "object" in line]
    wrong = {line["object"].partition(": ")[2]: line["failed"] for line in lines}
    assert {url for url, words in reasons.items() if words not in wrong.get(url, "")} == set(), wrong
    assert content_of(imports, clouds, good) == b"good"


@pytest.mark.parametrize("tells_etag", [True, False], ids=["etag", "time alone"])
def test_an_object_that_changes_while_it_is_imported_is_named(
    imports: Imports, web: WebObjects, clouds: Clouds, tells_etag: bool
) -> None:
    path = f"/open/changing-{tells_etag}"
    url = web.put(path, b"before", tells_etag=tells_etag)
    job = imports.listed(imports.order(table=table_of(clouds, url)))
    web.put(path, b"after!", tells_etag=tells_etag, written=1_700_000_100.0)

    job = imports.go_on(job)

    [line, *_] = imports.report(job)
    assert "replaced" in line["failed"] and imports.counts(job)["failed"] == 1


def test_a_server_without_ranges_gives_small_objects_only(
    imports: Imports, web: WebObjects, clouds: Clouds
) -> None:
    small = web.put("/open/whole", b"small", takes_ranges=False)
    large = web.put("/open/whole-large", distinct_bytes(9 * MIB), takes_ranges=False)

    job = imported(imports, clouds, small, large)

    [line, *_] = [line for line in imports.report(job) if "object" in line]
    assert large in line["object"] and "answers no ranges" in line["failed"], line
    asked = [one for one in web.asked if one[:2] == ("GET", "/open/whole-large")]
    assert len(asked) == len(set(asked)), "nothing is asked twice"
    assert content_of(imports, clouds, small) == b"small"
