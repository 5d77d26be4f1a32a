"""JSON bodies: valid ones arrive at the handlers, others are refused with the path of a property."""

import json
import tracemalloc
from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from run.api.bodies import MAX_DEPTH, memory_of
from run.api.contract import Contract
from shared.errors import IllegalArguments, IllegalVersion, UnknownSourceSchema

OPERATIONS = {operation.operation_id: operation for operation in Contract.load().operations}

UUID = "2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11"
VERSION = "2024-02-29T235959.000001Z"
JSON = "application/json"


def bundle_file(**changes: Any) -> dict[str, Any]:
    return {"uuid": UUID, "version": VERSION, "name": "reads/a.fastq.gz", "indexed": False, **changes}


def subscription(**changes: Any) -> dict[str, Any]:
    return {"callback_url": "https://example.org/hook", **changes}


def read_body(operation_id: str, body: Any, content_type: str | None = JSON) -> dict[str, Any]:
    operation = OPERATIONS[operation_id]
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    query = {"replica": "gcp", "version": VERSION}
    if operation_id in ("search.post", "subscriptions.put"):
        del query["version"]
    if operation_id == "files.put":
        del query["replica"]
    return operation.arguments({"uuid": UUID}, MultiDict(query), raw, content_type)["json_request_body"]


class TestBodies:
    def test_a_valid_body_arrives_as_it_is_with_uuids_in_lower_case(self) -> None:
        body = {"files": [bundle_file(), bundle_file(uuid=UUID.upper(), name="b")], "creator_uid": 2**63 - 1}
        expected = {"files": [bundle_file(), bundle_file(name="b")], "creator_uid": 2**63 - 1}
        assert read_body("bundles.put", body) == expected

    def test_defaults_are_filled_in_and_nothing_else(self) -> None:
        defaults = {"method": "POST", "encoding": JSON, "form_fields": {}, "payload_form_field": "payload"}
        assert read_body("subscriptions.put", subscription()) == subscription(**defaults)
        assert read_body("bundles.patch", {}) == {}

    def test_a_default_is_not_shared_between_requests(self) -> None:
        read_body("subscriptions.put", subscription())["form_fields"]["mine"] = "secret"
        assert read_body("subscriptions.put", subscription())["form_fields"] == {}

    def test_an_optional_body_is_empty_if_it_is_missing(self) -> None:
        assert read_body("checkout.post", None) == {}
        assert read_body("checkout.post", b"") == {}

    def test_a_body_is_ignored_if_the_operation_has_none(self) -> None:
        assert "json_request_body" not in OPERATIONS["files.get"].arguments(
            {"uuid": UUID}, MultiDict({"replica": "gcp"}), b"\xff"
        )

    def test_the_content_type_does_not_matter_if_the_body_is_json(self) -> None:
        for content_type in (None, "text/plain", "application/x-www-form-urlencoded"):
            assert read_body("bundles.delete", {"reason": "test"}, content_type) == {"reason": "test"}

    def test_properties_that_the_contract_does_not_declare_are_accepted(self) -> None:
        assert read_body("bundles.delete", {"reason": "test", "bundle_uuid": UUID})["bundle_uuid"] == UUID

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (None, "missing"),
            (b"", "missing"),
            (b"reason=x", "not JSON: .* content type is text/plain"),
            (b'{"reason": "x"', "not JSON"),
            (b'{"reason": "x"} {}', "not JSON"),
            (b'{"reason": "\xff"}', "not UTF-8, at byte 12"),
            ('{"reason": "x"}'.encode("utf-16"), "not UTF-8"),
            (b'{"reason": "x", "n": NaN}', "NaN is not a JSON number"),
            (b'{"reason": "x", "n": -Infinity}', "-Infinity is not a JSON number"),
            (b'{"reason": "x", "n": 1e999}', "1e999 is too large"),
            (b'{"reason": "x", "reason": "y"}', "two members 'reason'"),
            (b'{"reason": "x", "n": ' + b"9" * 5000 + b"}", "more than 64 bits"),
            (b"[" * 1_000_000, "nested"),
            (b'["reason"]', "must be an object, not a list"),
            (b"null", "must be an object, not null"),
            (b'{"reason": null}', r"\.reason: must be text, not null"),
            (b'{"reason": 5}', r"\.reason: must be text, not 5"),
            (b"{}", r"\.reason: missing"),
            (rb'{"reason": "\ud800"}', r"\.reason: holds half a surrogate pair"),
            (rb'{"reason": "x", "\uDFFF": 1}', "half a surrogate pair"),
            (b'{"reason": "x", "n": [9223372036854775808]}', r"\.n: .* more than 64 bits"),
        ],
    )
    def test_a_body_that_cannot_be_stored_is_refused(self, body: bytes | None, why: str) -> None:
        with pytest.raises(IllegalArguments, match=f"^json_request_body.*{why}"):
            read_body("bundles.delete", body, "text/plain")

    def test_surrogate_pairs_are_text(self) -> None:
        assert read_body("bundles.delete", rb'{"reason": "\ud83e\uddec"}') == {
            "reason": "\N{DNA DOUBLE HELIX}"
        }

    def test_nesting_has_a_limit_that_queries_do_not_reach(self) -> None:
        def nested(depth: int) -> bytes:
            return b'{"es_query": ' + b'{"bool": ' * depth + b"1" + b"}" * depth + b"}"

        assert read_body("search.post", nested(MAX_DEPTH - 1))
        with pytest.raises(IllegalArguments, match=r"^json_request_body\.es_query: nested more than"):
            read_body("search.post", nested(MAX_DEPTH))

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"uuid": "x"}, "uuid: 'x' is not a UUID"),
            ({"uuid": 5}, "uuid: must be text, not 5"),
            ({"name": "a/../b"}, "name: 'a/../b' has a '.' or '..' step"),
            ({"name": "/a"}, "name: "),
            ({"name": "~/a"}, "name: "),
            ({"name": "a\\b"}, "name: "),
            ({"name": ".."}, "name: "),
            ({"name": "a\nb"}, "name: "),
            ({"name": "a" * 4097}, f"name: {'a' * 80!r} is longer than 900 bytes"),
            ({"indexed": "true"}, "indexed: must be true or false, not 'true'"),
            ({"indexed": 1}, "indexed: must be true or false, not 1"),
        ],
    )
    def test_an_invalid_value_of_a_file_is_named_with_its_path(
        self, change: dict[str, Any], path: str
    ) -> None:
        body = {"files": [bundle_file(), bundle_file(), bundle_file(**change)], "creator_uid": 1}
        with pytest.raises(IllegalArguments) as refused:
            read_body("bundles.put", body)
        assert refused.value.title.startswith(f"json_request_body.files[2].{path}")
        assert refused.value.code == "illegal_arguments"

    def test_a_missing_property_is_named_with_its_path(self) -> None:
        incomplete = bundle_file()
        del incomplete["version"]
        with pytest.raises(IllegalArguments, match=r"^json_request_body\.add_files\[0\]\.version: missing$"):
            read_body("bundles.patch", {"add_files": [incomplete]})

    def test_an_impossible_version_in_a_body_is_an_illegal_version_with_its_path(self) -> None:
        body = {"files": [bundle_file(version="2023-02-29T000000.000000Z")], "creator_uid": 1}
        with pytest.raises(IllegalVersion, match=r"^json_request_body\.files\[0\]\.version: "):
            read_body("bundles.put", body)

    @pytest.mark.parametrize("value", [1.0, True, "1", None, 2**63, -(2**63) - 1, [], 10**400])
    def test_creators_are_integers_of_64_bits(self, value: Any) -> None:
        with pytest.raises(IllegalArguments, match=r"^json_request_body\.creator_uid: "):
            read_body("files.put", {"source_url": "gs://bucket/key", "creator_uid": value})

    @pytest.mark.parametrize("url", ["http://bucket/key", "bucket/key", "", "GS://bucket/key"])
    def test_a_source_url_of_another_scheme_has_an_error_of_its_own(self, url: str) -> None:
        with pytest.raises(UnknownSourceSchema, match=r"^json_request_body\.source_url: "):
            read_body("files.put", {"source_url": url, "creator_uid": 1})

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"callback_url": "ftp://example.org"}, "callback_url"),
            ({"method": "GET"}, "method"),
            ({"method": None}, "method"),
            ({"encoding": "text/plain"}, "encoding"),
            ({"attachments": {"taxon": {"type": "xpath", "expression": "a"}}}, "attachments.taxon.type"),
            ({"attachments": {"taxon": {"type": "jmespath"}}}, "attachments.taxon.expression"),
            ({"attachments": {"a.[{data}\n": 5}}, r"attachments.a.[{data}\n"),
        ],
    )
    def test_an_invalid_value_of_a_subscription_is_named(self, change: dict[str, Any], place: str) -> None:
        with pytest.raises(IllegalArguments) as refused:
            read_body("subscriptions.put", subscription(**change))
        assert refused.value.title.startswith(f"json_request_body.{place}: ")

    @pytest.mark.parametrize(
        "email",
        [
            *("", "a", "a@", "@b", "a@b@c", "a b@c", "a@b\r\nBcc: c@d", "a" * 300 + "@b"),
            *("words<a@b>", "(words)a@b", "a,c@b", "a:c@b;", '"words"@b', "a@[b]"),
        ],
    )
    def test_mail_is_sent_to_addresses_only(self, email: str) -> None:
        assert read_body("checkout.post", {"email": "ada@example.org"})["email"] == "ada@example.org"
        with pytest.raises(IllegalArguments, match=r"^json_request_body\.email: "):
            read_body("checkout.post", {"email": email})


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 50_000 + b"1]",
        b"[" + b"{}," * 50_000 + b"1]",
        b"[" + b'{"a":1},' * 30_000 + b"1]",
        b"{" + b",".join(b'"key %d":%d' % (n, n) for n in range(30_000)) + b"}",
        b"[" + b"1.5," * 50_000 + b"1]",
        b'["' + b"a" * 200_000 + b'"]',
        json.dumps({"files": [bundle_file(name=f"reads/{number}") for number in range(5000)]}).encode(),
    ],
    ids=["lists", "objects", "members", "keys", "numbers", "text", "files"],
)  # fmt: skip
def test_the_memory_of_a_body_is_known_before_it_is_parsed(body: bytes) -> None:
    tracemalloc.start()
    try:
        value = json.loads(body)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value
    assert taken <= memory_of(body) <= 12 * taken


def test_padding_of_a_body_takes_no_memory() -> None:
    assert memory_of(b'{"a":' + b" \n" * 4_000_000 + b"1}") < 1000
