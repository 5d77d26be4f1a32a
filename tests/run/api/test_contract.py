"""The contract: the form that existing clients need, and the validation of requests."""

import argparse
import copy
import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV2SpecValidator
from werkzeug.datastructures import MultiDict

from run.api.contract import Contract, Operation
from shared.access import Action
from shared.errors import DssError
from tests.support.v1_contract import BEYOND_V1, THE_V1_CONTRACT

CONTRACT = Contract.load()
OPERATIONS = {operation.operation_id: operation for operation in CONTRACT.operations}

UUID = "2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11"
VERSION = "2024-02-29T235959.000001Z"
JSON = "application/json"
NEW_FILE = {"uuid": UUID, "version": VERSION, "creator_uid": 1, "content": ""}
BUNDLE_FILE = {"uuid": UUID, "version": VERSION, "name": "reads/a.fastq.gz", "indexed": False}


def declared() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in CONTRACT.document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def body_schemas() -> Iterator[dict[str, Any]]:
    for _, _, operation in declared():
        for parameter in operation["parameters"]:
            if parameter["in"] == "body":
                yield parameter["schema"]


def valid_request(operation: Operation) -> tuple[dict[str, str], dict[str, str]]:
    """Return path arguments and the required query parameters of an operation."""
    document = CONTRACT.document["paths"][operation.path][operation.method.lower()]
    values = {"replica": "gcp", "version": VERSION, "from_date": VERSION}
    in_path = {p["name"]: UUID for p in document["parameters"] if p["in"] == "path"}
    in_query = {
        p["name"]: values.get(p["name"], UUID)
        for p in document["parameters"]
        if p["in"] == "query" and p.get("required")
    }
    return in_path, in_query


class TestTheDocument:
    def test_it_has_every_operation_of_v1_with_its_parameters_and_answers(self) -> None:
        def described(parameter: dict[str, Any]) -> str:
            text = parameter["name"] + "*" * parameter.get("required", False)
            text += f"={parameter['default']}" if "default" in parameter else ""
            if "minimum" in parameter:
                text += f"[{parameter['minimum']}..{parameter.get('maximum', '')}]"
            return text

        found = {
            (operation["operationId"], f"{method.upper()} {path}"): (
                " ".join(map(described, operation["parameters"])),
                set(operation["responses"]),
            )
            for path, method, operation in declared()
        }
        expected = THE_V1_CONTRACT | BEYOND_V1
        assert found.keys() == expected.keys()
        for name, (parameters, answers) in expected.items():
            assert found[name][0] == parameters
            assert found[name][1] >= set(answers.split()) | {"500", "502", "503", "504"}, name

    def test_it_is_valid_swagger_2(self) -> None:
        assert list(OpenAPIV2SpecValidator(CONTRACT.document).iter_errors()) == []

    def test_it_means_the_same_as_json(self) -> None:
        assert json.loads(json.dumps(CONTRACT.document)) == CONTRACT.document

    def test_every_pattern_of_a_request_has_its_meaning_in_words(self) -> None:
        def without_words(schema: Any) -> list[str]:
            if isinstance(schema, list):
                return [found for item in schema for found in without_words(item)]
            if not isinstance(schema, dict):
                return []
            own = [schema["pattern"]] if "pattern" in schema and "x-expected" not in schema else []
            return own + [found for value in schema.values() for found in without_words(value)]

        operations = [one for path in CONTRACT.document["paths"].values() for one in path.values()]
        assert without_words([operation["parameters"] for operation in operations]) == []
        assert without_words(CONTRACT.document["definitions"]["BundleFile"]) == []

    def test_every_reference_leads_to_a_definition(self) -> None:
        def references(node: Any) -> Iterator[str]:
            if isinstance(node, dict):
                yield from ([node["$ref"]] if "$ref" in node else [])
                node = list(node.values())
            if isinstance(node, list):
                for item in node:
                    yield from references(item)

        defined = {f"#/definitions/{name}" for name in CONTRACT.document["definitions"]}
        assert set(references(CONTRACT.document)) <= defined

    def test_each_operation_is_named_for_the_function_that_serves_it(self) -> None:
        assert len(OPERATIONS) == len(CONTRACT.operations) == len(THE_V1_CONTRACT | BEYOND_V1)
        assert all(name.count(".") == 1 for name in OPERATIONS)

    def test_operations_have_their_paths_and_their_sign_in(self) -> None:
        put = OPERATIONS["bundles.put"]
        assert (put.method, put.path, put.rule) == ("PUT", "/bundles/{uuid}", "/v1/bundles/<uuid>")
        assert (put.secured, put.paginated) == (True, False)
        assert {name for name, o in OPERATIONS.items() if o.paginated} == {
            *("search.post", "collections.list_own", "bundles.list_all", "bundles.get"),
            *("events.list_journals", "subscriptions.deliveries"),
        }
        assert {name for name, o in OPERATIONS.items() if o.secured} == {
            *("files.put", "files.put_many", "bundles.put", "bundles.patch", "bundles.delete"),
            *(name for name in OPERATIONS if name.startswith(("collections.", "subscriptions."))),
        }


class TestSignInByTheSetting:
    def test_an_operation_of_the_setting_needs_sign_in_and_the_document_says_so(self) -> None:
        contract = Contract.load(secured=("files.get", "files.put"))
        assert {o.operation_id: o.needs for o in contract.operations} == {
            **{name: operation.needs for name, operation in OPERATIONS.items()},
            "files.get": Action.CALL,
        }
        # What the contract itself secures needs a write group, named by the setting or not.
        assert OPERATIONS["files.put"].needs is Action.CONTRIBUTE
        changed = copy.deepcopy(CONTRACT.document)
        get = changed["paths"]["/files/{uuid}"]["get"]
        get["security"] = [{"dcpAuth": []}]
        get["responses"] = contract.document["paths"]["/files/{uuid}"]["get"]["responses"]
        assert contract.document == changed
        assert "401" in get["responses"]

    def test_all_secures_every_operation(self) -> None:
        contract = Contract.load(secured=("all",))
        # But for what is asked for by a signed URL.
        is_open = {operation.operation_id for operation in contract.operations if not operation.secured}
        assert is_open == {"events.read_journal"}
        for methods in contract.document["paths"].values():
            for operation in methods.values():
                needs = operation["operationId"] not in is_open
                assert operation.get("security") == ([{"dcpAuth": []}] if needs else None)
        assert list(OpenAPIV2SpecValidator(contract.document).iter_errors()) == []
        assert {o.operation_id for o in contract.operations if o.needs is Action.CONTRIBUTE} == {
            name for name, operation in OPERATIONS.items() if operation.needs is Action.CONTRIBUTE
        }

    def test_operations_that_there_are_not_are_named(self) -> None:
        with pytest.raises(
            ValueError, match=r"DSS_SECURED: files, files\.fetch: no such operation"
        ) as raised:
            Contract.load(secured=("files.get", "files.fetch", "all", "files"))
        assert "files.head" in str(raised.value)


class TestWhatExistingClientsNeed:
    def test_the_server_that_serves_it_is_in_it(self) -> None:
        served = CONTRACT.served_at("http", "localhost:8080")
        assert served["host"] == "localhost:8080"
        assert served["schemes"] == ["http"]
        assert served["basePath"] == "/v1"
        assert served["paths"] is CONTRACT.document["paths"]
        assert CONTRACT.document["host"] == "localhost"

    def test_the_sign_in_of_the_deployment_can_be_in_it(self) -> None:
        served = CONTRACT.served_at(
            "https", "dss.example.org", sign_in={"x-audience": "https://dss.example.org"}
        )
        assert served["securityDefinitions"]["OauthSecurity"]["x-audience"] == "https://dss.example.org"
        assert "OauthSecurity" not in CONTRACT.document["securityDefinitions"]

    def test_the_service_is_described(self) -> None:
        assert CONTRACT.document["info"]["description"]

    def test_path_items_hold_http_methods_only(self) -> None:
        assert {method for _, method, _ in declared()} <= {"get", "head", "put", "post", "patch", "delete"}

    def test_every_operation_lists_responses_and_parameters_and_says_what_it_does(self) -> None:
        for path, method, operation in declared():
            for key in ("responses", "parameters", "summary", "description"):
                assert operation.get(key), (path, method, key)

    def test_parameters_are_written_out_where_they_are_used(self) -> None:
        for path, _, operation in declared():
            for parameter in operation["parameters"]:
                assert {"name", "in", "description"} <= parameter.keys(), path

    def test_ids_are_called_uuid(self) -> None:
        in_paths = {p["name"] for _, _, o in declared() for p in o["parameters"] if p["in"] == "path"}
        assert in_paths == {"uuid", "checkout_job_id", "object_id"}

    def test_every_body_is_called_json_request_body(self) -> None:
        names = {p["name"] for _, _, o in declared() for p in o["parameters"] if p["in"] == "body"}
        assert names == {"json_request_body"}

    def test_every_body_property_has_one_scalar_type_or_an_enum(self) -> None:
        for schema in body_schemas():
            assert schema["properties"]
            for name, property_ in schema["properties"].items():
                assert isinstance(property_.get("type"), str) or "enum" in property_, name

    def test_body_properties_and_parameters_of_one_operation_have_different_names(self) -> None:
        for path, method, operation in declared():
            names = [p["name"] for p in operation["parameters"] if p["in"] != "body"]
            for parameter in operation["parameters"]:
                names += parameter.get("schema", {}).get("properties", [])
            assert len(names) == len(set(names)), (path, method)

    def test_security_stands_on_operations_only(self) -> None:
        assert "security" not in CONTRACT.document
        for _, _, operation in declared():
            assert operation.get("security", [{"dcpAuth": []}]) == [{"dcpAuth": []}]

    def test_reading_files_and_bundles_needs_no_sign_in(self) -> None:
        for operation_id in ("files.get", "files.head", "bundles.get", "bundles.list_all"):
            assert not OPERATIONS[operation_id].secured

    def test_every_paginated_operation_lists_206_with_its_headers(self) -> None:
        for path, method, operation in declared():
            if any(p["name"] == "per_page" for p in operation["parameters"]):
                headers = operation["responses"]["206"]["headers"].keys()
                assert headers >= {"Link", "X-OpenAPI-Pagination", "X-OpenAPI-Paginated-Content-Key"}, (
                    path,
                    method,
                )
                assert "X-OpenAPI-Pagination" in operation["responses"]["200"]["headers"]

    def test_a_command_line_can_be_built_from_it_and_print_its_help(self) -> None:
        # What the existing clients do: an argument for each parameter and each property of the body.
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers()
        for path, method, operation in declared():
            command = commands.add_parser(
                f"{method} {path}", description=operation["description"], help=operation["summary"]
            )
            for parameter in operation["parameters"]:
                arguments = (
                    parameter["schema"]["properties"]
                    if "schema" in parameter
                    else {parameter["name"]: parameter}
                )
                for name, argument in arguments.items():
                    command.add_argument(
                        f"--{name}", help=argument["description"], choices=argument.get("enum")
                    )
            assert operation["description"].split()[0] in command.format_help()
            assert operation["summary"].split()[0] in parser.format_help()


JUNK_TEXT = (
    st.text(st.characters())
    | st.text(string.printable)
    | st.sampled_from([UUID, VERSION, "gcp", "true", "10"])
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | JUNK_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JUNK_TEXT, inner, max_size=3),
    max_leaves=8,
)
ANY_OPERATION = st.sampled_from(CONTRACT.operations)


def takes_body(operation: Operation) -> bool:
    document = CONTRACT.document["paths"][operation.path][operation.method.lower()]
    return any(p["in"] == "body" for p in document["parameters"])


def sample_body(operation: Operation) -> dict[str, Any]:
    """Return a valid body with every property that the contract knows."""
    samples: dict[str, Any] = {
        "files": [NEW_FILE if operation.operation_id == "files.put_many" else BUNDLE_FILE],
        "add_files": [BUNDLE_FILE],
        "remove_files": [BUNDLE_FILE],
        "contents": [{"type": "file", "uuid": UUID, "version": VERSION, "path": ""}],
        "add_contents": [{"type": "file", "uuid": UUID, "version": VERSION}],
        "remove_contents": [],
        "attachments": {"taxon": {"type": "jmespath", "expression": "a.b"}},
        "source_url": "gs://bucket/key",
        "callback_url": "https://example.org",
        "email": "ada@example.org",
    }
    by_type: dict[str, Any] = {"string": "text", "integer": 1, "object": {}}
    document = CONTRACT.document["paths"][operation.path][operation.method.lower()]
    properties = next(p for p in document["parameters"] if p["in"] == "body")["schema"]["properties"]
    return {
        name: samples.get(name, property_.get("default", by_type.get(property_["type"])))
        for name, property_ in properties.items()
    }


class TestWhateverIsSent:
    @settings(deadline=None)
    @given(data=st.data(), operation=ANY_OPERATION)
    def test_a_parameter_is_read_or_refused_by_name(self, data: st.DataObject, operation: Operation) -> None:
        path_args, query = valid_request(operation)
        document = CONTRACT.document["paths"][operation.path][operation.method.lower()]
        names = [p["name"] for p in document["parameters"] if p["in"] != "body"]
        name = data.draw(st.sampled_from(names))
        (path_args if name in path_args else query)[name] = data.draw(JUNK_TEXT)
        body = json.dumps(sample_body(operation)).encode() if takes_body(operation) else None
        try:
            arguments = operation.arguments(path_args, MultiDict(query), body, JSON)
        except DssError as refused:
            assert refused.title.startswith(f"{name}: ")
        else:
            assert arguments.keys() == {*names, *(["json_request_body"] if body else [])}

    @settings(deadline=None)
    @given(operation=ANY_OPERATION, name=JUNK_TEXT)
    def test_an_unknown_parameter_is_ignored(self, operation: Operation, name: str) -> None:
        path_args, query = valid_request(operation)
        body = json.dumps(sample_body(operation)).encode() if takes_body(operation) else None
        known = operation.arguments(path_args, MultiDict(query), body, JSON)
        assert operation.arguments(path_args, MultiDict({**query, f"x-{name}": ""}), body, JSON) == known

    @settings(deadline=None)
    @given(data=st.data(), operation=ANY_OPERATION.filter(takes_body))
    def test_a_body_is_read_or_refused_by_the_name_of_its_property(
        self, data: st.DataObject, operation: Operation
    ) -> None:
        body = sample_body(operation)
        name = data.draw(st.sampled_from(sorted(body)))
        junk = data.draw(JUNK)
        place = data.draw(st.sampled_from(["property", "member"]))
        if place == "member" and isinstance(body[name], list) and body[name]:
            body[name] = copy.deepcopy(body[name])
            body[name][0][data.draw(st.sampled_from(sorted(body[name][0])))] = junk
        else:
            body[name] = junk
        path_args, query = valid_request(operation)
        try:
            operation.arguments(path_args, MultiDict(query), json.dumps(body).encode(), JSON)
        except DssError as refused:
            is_no_json = any(word in refused.title for word in ("not a JSON number", "has two members"))
            assert refused.title.startswith(f"json_request_body.{name}") or is_no_json

    @settings(deadline=None)
    @given(
        operation=ANY_OPERATION.filter(takes_body),
        body=st.binary(min_size=1) | JUNK.map(lambda j: json.dumps(j).encode()),
    )
    def test_any_bytes_are_read_or_refused(self, operation: Operation, body: bytes) -> None:
        path_args, query = valid_request(operation)
        try:
            operation.arguments(path_args, MultiDict(query), body, JSON)
        except DssError as refused:
            assert refused.title.startswith("json_request_body")

    @pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.operation_id)
    def test_a_request_that_the_contract_allows_is_accepted(self, operation: Operation) -> None:
        path_args, query = valid_request(operation)
        body = sample_body(operation) if takes_body(operation) else {}
        arguments = operation.arguments(path_args, MultiDict(query), json.dumps(body).encode(), JSON)
        assert arguments.get("json_request_body", {}) == body
