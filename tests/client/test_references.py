"""Every way to name an object leads to the same object, and a name on another DSS is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dss.errors import InvalidInput
from dss.references import Kind, Reference, drs_host, drs_uri, parse, resolve
from tests.client.test_identifiers import VERSIONS

UUID = "011c7340-9b3c-4d62-bf49-090d79daf198"
VERSION = "2026-01-12T093000.000000Z"
FQID = f"{UUID}.{VERSION}"
DSS = "https://dss.example.org/v1"

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    "text",
    [
        FQID,
        f"  {FQID}\n",
        f"{UUID.upper()}.{VERSION}",
        f"dss://{FQID}",
        f"dss://{FQID}/",
        f"drs://dss.example.org/{FQID}",
        f"DRS://DSS.Example.org/{FQID}",
        f"drs://dss.example.org:443/{FQID}",
        f"https://dss.example.org/browse/bundles/{FQID}",
        f"http://dss.example.org/browse/bundles/{FQID}",
        f"https://dss.example.org./browse/bundles/{FQID}/#files",
        f"https://dss.example.org:443/browse/bundles/{UUID}?version={VERSION}",
        f"https://dss.example.org/v1/bundles/{UUID}?version={VERSION}&replica=aws",
        f"https://user:secret@dss.example.org/v1/bundles/{UUID}?replica=aws&version={VERSION}",
        f"https://dss.example.org/ga4gh/drs/v1/objects/{FQID}",
        f"https://dss.example.org/a/prefix/v1/bundles/{FQID.replace(':', '%3A')}",
    ],
)
def test_every_form_names_the_same_bundle(text: str) -> None:
    found = resolve(text, url=DSS)

    assert (found.uuid, found.version, found.name, found.fqid) == (UUID, VERSION, None, FQID)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://DSS.example.org/v1", "dss.example.org"),
        ("https://me:secret@dss.example.org:443/v1", "dss.example.org"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("https://[::1]:443", "[::1]"),
        ("https://[::443]", "[::443]"),
    ],
)
def test_a_drs_uri_has_the_host_and_no_more(url: str, host: str) -> None:
    uri = drs_uri(drs_host(url), UUID, VERSION)

    assert uri == f"drs://{host}/{FQID}"
    assert resolve(uri, url=url).fqid == FQID


@pytest.mark.parametrize("text", [UUID, f"dss://{UUID}", f"drs://h/{UUID}", f"https://h/v1/bundles/{UUID}"])
def test_the_version_may_be_left_out_or_given_beside_it(text: str) -> None:
    assert parse(text).version is None
    assert parse(text, VERSION).version == VERSION


@pytest.mark.parametrize("kind", ["file", "bundle", "collection"])
def test_a_url_says_of_which_kind_its_object_is(kind: Kind) -> None:
    for path in ("v1", "browse"):
        text = f"https://dss.example.org/{path}/{kind}s/{UUID}"
        assert parse(text).kind == kind
        assert resolve(text, url=DSS, kind=kind).uuid == UUID
        for other in {"file", "bundle", "collection"} - {kind}:
            with pytest.raises(InvalidInput, match=f"names a {kind}; give a {other}"):
                resolve(text, url=DSS, kind=other)  # type: ignore[arg-type]


def test_the_name_of_a_file_follows_its_bundle() -> None:
    for text in (f"{UUID}/a/b.txt", f"dss://{UUID}/a/b.txt", f"https://h/browse/bundles/{UUID}/a%2Fb.txt"):
        assert parse(text).name == "a/b.txt"
    with pytest.raises(InvalidInput, match=f"names a file of a bundle; give a bundle: {UUID}"):
        resolve(f"{UUID}/a/b.txt", url=DSS)
    assert resolve(f"{UUID}/a/b.txt", url=DSS, named=True).name == "a/b.txt"


@pytest.mark.parametrize(
    "text",
    [
        f"drs://other.example.org/{FQID}",
        f"drs://dss.example.org:8080/{FQID}",
        f"https://dss.example.org:8443/v1/bundles/{UUID}?version={VERSION}",
        f"http://dss.example.org.evil.org/browse/bundles/{FQID}",
    ],
)
def test_a_name_on_another_dss_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(InvalidInput, match="than the one in use") as caught:
        resolve(text, url=DSS)

    assert "dss.example.org;" in str(caught.value)
    assert f"give {FQID} to look for it here" in str(caught.value)


def test_this_machine_has_several_names() -> None:
    for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080"):
        assert resolve(f"drs://{host}/{UUID}", url="http://localhost:8080/v1").uuid == UUID
    with pytest.raises(InvalidInput, match="another DSS"):
        resolve(f"drs://localhost:8081/{UUID}", url="http://127.0.0.1:8080/v1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "brains",
        UUID[:-1],
        f"{UUID}0",
        f"{UUID}.",
        f"{UUID}.newest",
        f"{UUID}.2026-13-01T000000.000000Z",
        "x" * 10_000,
        f"gs://bucket/{UUID}",
        f"drs://{UUID}",
        f"drs:///{UUID}",
        "drs://dg.4503:0001/x",
        f"drs://host:port/{UUID}",
        f"https://[/v1/bundles/{UUID}",
        f"https:///v1/bundles/{UUID}",
        f"https://dss.example.org/{UUID}",
        f"https://dss.example.org/v1/objects/{UUID}",
        f"https://dss.example.org/v1/subscriptions/{UUID}",
        f"https://dss.example.org/v1/bundles/{UUID}/checkout",
        f"https://dss.example.org/v1/bundles/{UUID}?version=newest",
    ],
)
def test_anything_else_names_nothing(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)

    assert len(str(caught.value)) < 400


def test_two_versions_that_differ_are_refused() -> None:
    assert parse(FQID, VERSION).fqid == FQID
    for text in (FQID, f"https://h/v1/bundles/{UUID}?version={VERSION}"):
        with pytest.raises(InvalidInput, match="names another version than 2027"):
            parse(text, "2027-01-12T093000.000000Z")


@given(st.uuids().map(str), st.none() | VERSIONS, st.none() | NAMES)
@example(UUID, VERSION, "//x//")
@example(UUID, None, "?version=%41#")
def test_a_reference_as_text_names_the_same(uuid: str, version: str | None, name: str | None) -> None:
    reference = Reference(uuid=uuid, version=version, name=name)

    assert parse(str(reference)) == reference
    assert parse(f"dss://{reference}") == reference


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for candidate in (
        text,
        f"dss://{text}",
        f"drs://{text}",
        f"https://{text}",
        f"https://h/v1/bundles/{text}",
    ):
        try:
            parse(candidate)
        except InvalidInput:
            continue
