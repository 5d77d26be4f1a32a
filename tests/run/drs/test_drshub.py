"""Terra finds the bytes: every kind of id goes through DRSHub, whose part tests/support/drshub.py plays."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from local.api import api_process
from shared.bindings import change_binding
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.drshub import AccessMethodConfig, Caller, DrsHub, Failed, Provider, metadata_of
from tests.support.passports import passport, passport_settings, visa

HOST = "dss.example.org"
CONTENT = b"content for Terra"
EVERYTHING = (
    "accessUrl",
    "bucket",
    "contentType",
    "fileName",
    "gsUri",
    "hashes",
    "name",
    "size",
    "timeCreated",
)
GROUP = f"terra-{new_uuid()}"
DSS_PROVIDER = Provider(name="DSS", host_regex=r"dss\.example\.org")


@pytest.fixture(scope="module")
def url(stack: dict[str, str]) -> Iterator[str]:
    """The URL of an API with a public name, that accepts passports."""
    settings = {**passport_settings(stack, GROUP), "DSS_PUBLIC_URL": f"https://{HOST}"}
    with api_process(stack, settings) as process:
        yield process.url


@pytest.fixture
def hub(url: str) -> DrsHub:
    return DrsHub([DSS_PROVIDER], {HOST: url})


@pytest.fixture(scope="module")
def file(stack: dict[str, str], api: Api) -> Version:
    return put_file(api, Clouds(stack).stage("gcp", CONTENT, content_type="text/plain"))


@pytest.fixture(scope="module")
def managed(stack: dict[str, str], api: Api, dss: Dss) -> Version:
    put = put_file(api, Clouds(stack).stage("gcp", CONTENT))
    readers = frozenset((GROUP, "dss"))
    change_binding(dss, put.uuid, "operator@example.org", lambda before: replace(before, readers=readers))
    return put


def uri(what: object) -> str:
    return f"drs://{HOST}/{what}"


def made(hub: DrsHub, token: str = "") -> list[str]:
    """Return the calls that were made, in order; fail if one had other headers than DRSHub sends."""
    for method, path, headers in hub.calls:
        assert "X-Transaction-Id" in headers
        assert ("X-Forwarded-For" in headers) == ("/access/" in path)
        sends_token = bool(token) and method == "GET"
        assert headers.get("Authorization") == (f"Bearer {token}" if sends_token else None)
    return [f"{method} {path.removeprefix('/ga4gh/drs/v1/objects/')}" for method, path, _ in hub.calls]


def test_a_file_is_resolved_to_bucket_and_signed_url(
    hub: DrsHub, stack: dict[str, str], file: Version
) -> None:
    found = hub.resolve(uri(file), EVERYTHING)

    assert made(hub) == [f"OPTIONS {file}", f"GET {file}", f"GET {file}/access/gs.gcp"]
    assert set(found) == set(EVERYTHING)
    assert found["gsUri"] == f"gs://{stack['DSS_GS_BUCKET']}/{found['name']}"
    assert (found["size"], found["contentType"]) == (len(CONTENT), "text/plain")
    # Cromwell and terra-notebook-utils verify by one of these.
    assert {"md5", "crc32c"} <= set(found["hashes"])
    assert requests.get(found["accessUrl"]["url"], timeout=60).content == CONTENT


def test_a_signed_url_is_fetched_only_if_it_is_asked_for(hub: DrsHub, file: Version) -> None:
    found = hub.resolve(uri(file), ["gsUri", "size"])

    assert set(found) == {"gsUri", "size"}
    assert made(hub) == [f"OPTIONS {file}", f"GET {file}"]


@pytest.mark.parametrize("form", ["{uuid}", "{uuid}.{version}", "{quoted}"])
def test_ids_with_and_without_a_version_and_encoded(hub: DrsHub, file: Version, form: str) -> None:
    text = form.format(uuid=file.uuid, version=file.version, quoted=quote(str(file)).replace("-", "%2D"))

    assert hub.resolve(uri(text), ["size"]) == {"size": len(CONTENT)}


def test_what_the_service_calls_itself_can_be_resolved(
    hub: DrsHub, url: str, api: Api, file: Version
) -> None:
    bundle = put_bundle(api, "gcp", [file.named("a.txt")])
    form = requests.get(f"{url}/ga4gh/drs/v1/objects/{bundle}", timeout=60).json()
    named = [form["contents"][0]["drs_uri"][0], uri(form["contents"][0]["id"])]

    for text in named:
        assert hub.resolve(text, ["fileName", "size"])["size"] == len(CONTENT)


def test_a_file_on_aws_alone_is_resolved_by_s3(hub: DrsHub, stack: dict[str, str], api: Api) -> None:
    there = put_file(api, Clouds(stack).stage("aws", CONTENT))

    found = hub.resolve(uri(there), EVERYTHING)

    assert made(hub)[-1] == f"GET {there}/access/s3.aws"
    assert not {"gsUri", "bucket", "name"} & set(found)
    assert requests.get(found["accessUrl"]["url"], timeout=60).content == CONTENT


def test_managed_data_need_the_token_of_the_user(
    hub: DrsHub, stack: dict[str, str], managed: Version
) -> None:
    token = stack["DSS_TOKEN"]

    found = hub.resolve(uri(managed), EVERYTHING, Caller(token=token))

    assert made(hub, token) == [f"OPTIONS {managed}", f"GET {managed}", f"GET {managed}/access/gs.gcp"]
    assert requests.get(found["accessUrl"]["url"], timeout=60).content == CONTENT
    with pytest.raises(Failed, match="may not read it") as failed:
        hub.resolve(uri(managed), EVERYTHING, Caller(token=stack["DSS_TOKEN_OTHER_GROUP"]))
    assert failed.value.status == 403
    with pytest.raises(Failed, match="sign in") as failed:
        hub.resolve(uri(managed))
    assert failed.value.status == 401


def test_managed_data_are_opened_by_passports(hub: DrsHub, stack: dict[str, str], managed: Version) -> None:
    hub.passports = [passport(stack, visa(stack))]

    found = hub.resolve(uri(managed), EVERYTHING)

    assert made(hub) == [f"OPTIONS {managed}", f"POST {managed}", f"POST {managed}/access/gs.gcp"]
    assert requests.get(found["accessUrl"]["url"], timeout=60).content == CONTENT


def test_the_project_that_pays_is_in_the_signature(hub: DrsHub, file: Version) -> None:
    found = hub.resolve(uri(file), ["accessUrl"], Caller(user_project="my-project"))

    query = parse_qs(urlsplit(found["accessUrl"]["url"]).query)
    assert query["userProject"] == ["my-project"]
    assert requests.get(found["accessUrl"]["url"], timeout=60).content == CONTENT


def test_a_provider_may_prefer_another_type(url: str, file: Version) -> None:
    methods = (AccessMethodConfig(type="https"), AccessMethodConfig(type="gs", fetch_access_url=False))
    hub = DrsHub([replace(DSS_PROVIDER, methods=methods)], {HOST: url})

    assert "accessUrl" in hub.resolve(uri(file), ["accessUrl", "gsUri"])
    assert set(hub.resolve(uri(file), ["accessUrl", "gsUri"], platform="gs")) == {"gsUri"}
    assert made(hub).count(f"GET {file}/access/https.gcp") == 1


def test_bundles_and_collections_are_not_for_it(
    hub: DrsHub, stack: dict[str, str], api: Api, file: Version
) -> None:
    bundle = put_bundle(api, "gcp", [file.named("a.txt")])
    collection = put_collection(api, "gcp", [bundle.linked("bundle")])
    for container in (bundle, collection):
        with pytest.raises(Failed, match="no access_methods") as failed:
            hub.resolve(uri(container), caller=Caller(token=stack["DSS_TOKEN"]))
        assert failed.value.status == 500


def test_what_is_not_there_is_404(hub: DrsHub, file: Version) -> None:
    for text in (
        new_uuid(),
        f"{new_uuid()}.{now()}",
        f"{file.uuid}.{now()}",
        "x",
        "a/b",
        quote("a/b", safe=""),
    ):
        with pytest.raises(Failed) as failed:
            hub.resolve(uri(text))
        assert (failed.value.status, "status_code" in failed.value.message) == (404, True)


@pytest.mark.parametrize(
    "text",
    [
        "drs://127.0.0.1:8080/x",
        "drs://localhost/x",
        f"drs://{HOST}",
        f"drs://{HOST}/x?a=b",
        "drs://other.example.org/x",
        "drs://dg.unknown:x",
        "gs://bucket/x",
    ],
)
def test_ids_of_others_are_refused_before_any_call(hub: DrsHub, text: str) -> None:
    with pytest.raises(Failed) as failed:
        hub.resolve(text)

    assert (failed.value.status, hub.calls) == (400, [])


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("no access_methods", {"access_methods": None}),
    ("no access_methods", {"access_methods": []}),
    ("no size", {"size": None}),
    ("two checksums of one type", {"checksums": [{"type": "md5", "checksum": "a"}] * 2}),
    ("neither a name", {"name": None, "access_methods": [{"type": "gs", "access_id": "x"}]}),
]


@pytest.mark.parametrize(("words", "changes"), BROKEN)
def test_it_breaks_on_what_the_service_never_sends(
    url: str, file: Version, words: str, changes: dict[str, Any]
) -> None:
    real = requests.get(f"{url}/ga4gh/drs/v1/objects/{file}", timeout=60).json()
    assert metadata_of(real)["size"] == len(CONTENT)
    changed = {name: value for name, value in {**real, **changes}.items() if value is not None}

    with pytest.raises(Failed, match=words):
        metadata_of(changed)


def test_without_a_name_the_key_of_the_blob_is_the_name(url: str, file: Version) -> None:
    real = requests.get(f"{url}/ga4gh/drs/v1/objects/{file}", timeout=60).json()
    nameless = {name: value for name, value in real.items() if name != "name"}

    assert metadata_of(nameless)["fileName"] == metadata_of(nameless)["name"].rpartition("/")[2]
