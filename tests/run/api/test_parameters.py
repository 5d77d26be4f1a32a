"""Path and query parameters: valid ones arrive at the handlers, others are refused by name."""

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from run.api.contract import Contract
from shared.errors import IllegalArguments, IllegalVersion

OPERATIONS = {operation.operation_id: operation for operation in Contract.load().operations}

UUID = "2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11"


def read_query(operation_id: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    path_args = {"uuid": UUID, "checkout_job_id": UUID, "object_id": UUID}
    return OPERATIONS[operation_id].arguments(path_args, MultiDict(pairs))


class TestParameters:
    def test_parameters_arrive_typed_with_defaults_or_none(self) -> None:
        assert read_query(
            "bundles.get", ("replica", "aws"), ("presignedurls", "True"), ("start_at", "500")
        ) == {
            "uuid": UUID,
            "version": None,
            "replica": "aws",
            "directurls": None,
            "presignedurls": True,
            "token": None,
            "per_page": 500,
            "start_at": 500,
        }
        assert read_query("drs.get")["expand"] is False

    def test_uuids_arrive_in_lower_case(self) -> None:
        arguments = OPERATIONS["files.head"].arguments({"uuid": UUID.upper()}, MultiDict({"replica": "gcp"}))
        assert arguments["uuid"] == UUID
        arguments = read_query("collections.list_own")
        assert "uuid" not in arguments

    @pytest.mark.parametrize(
        "text", ["", "x", UUID[:-1], UUID + "0", UUID.replace("-", ""), f"{{{UUID}}}", UUID + "\n"]
    )
    @pytest.mark.parametrize("operation_id", ["files.head", "files.get", "bundles.delete"])
    def test_a_malformed_uuid_is_refused(self, operation_id: str, text: str) -> None:
        with pytest.raises(IllegalArguments, match=r"^uuid: "):
            OPERATIONS[operation_id].arguments(
                {"uuid": text}, MultiDict({"replica": "gcp"}), b'{"reason": ""}'
            )

    @pytest.mark.parametrize(
        "operation_id", ["files.get", "bundles.get", "events.get", "drs.get", "collections.get"]
    )
    @pytest.mark.parametrize(
        "text",
        ["", "2024", "2023-02-29T000000.000000Z", "2024-02-29T240000.000000Z", "2024-02-29T23:59:59.000001Z"],
    )
    def test_a_malformed_version_is_an_illegal_version_on_reads_too(
        self, operation_id: str, text: str
    ) -> None:
        with pytest.raises(IllegalVersion, match=r"^version: "):
            read_query(operation_id, ("replica", "gcp"), ("version", text))

    @pytest.mark.parametrize(
        "text", ["", "9", "501", "1_00", " 50", "+50", "5e1", "50.0", "\u0665\u0660", "9" * 5000, "-50"]
    )
    def test_integers_out_of_form_or_range_are_refused_with_their_bounds(self, text: str) -> None:
        with pytest.raises(IllegalArguments, match=r"^per_page: .* is not an integer from 10 to 500"):
            read_query("search.post", ("replica", "gcp"), ("per_page", text))

    @pytest.mark.parametrize("text", ["-1", str(2**63)])
    def test_a_page_starts_at_a_number_that_exists(self, text: str) -> None:
        with pytest.raises(IllegalArguments, match=r"^start_at: "):
            read_query("bundles.get", ("replica", "gcp"), ("start_at", text))

    @pytest.mark.parametrize(
        ("text", "value"),
        [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)],
    )
    def test_booleans_are_read_as_any_client_writes_them(self, text: str, value: bool) -> None:
        assert read_query("files.get", ("replica", "gcp"), ("directurl", text))["directurl"] is value

    @pytest.mark.parametrize("text", ["", "yes", "2", "tru", "None"])
    def test_a_malformed_boolean_is_refused(self, text: str) -> None:
        with pytest.raises(IllegalArguments, match=r"^directurl: "):
            read_query("files.get", ("replica", "gcp"), ("directurl", text))

    def test_a_missing_parameter_is_named_with_what_it_may_be(self) -> None:
        with pytest.raises(IllegalArguments, match=r"^replica: missing; it must be one of aws, gcp$"):
            read_query("files.get")

    def test_a_replica_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(IllegalArguments, match=r"^replica: 'azure' is not one of aws, gcp$"):
            read_query("files.get", ("replica", "azure"))

    def test_a_parameter_that_the_contract_does_not_declare_is_ignored(self) -> None:
        assert read_query("files.get", ("replica", "gcp"), ("replcia", "aws")) == read_query(
            "files.get", ("replica", "gcp")
        )

    def test_the_first_of_repeated_parameters_counts(self) -> None:
        # Following a Link, clients append their original query.
        arguments = read_query(
            "bundles.get", ("replica", "gcp"), ("start_at", "500"), ("replica", "gcp"), ("start_at", "0")
        )
        assert arguments["start_at"] == 500

    @pytest.mark.parametrize("text", ["a" * 4097, "a\0b", "a\r\nSet-Cookie: b", "\x7f", "\ud800"])
    def test_text_that_is_too_long_or_has_control_characters_is_refused(self, text: str) -> None:
        with pytest.raises(IllegalArguments, match=r"^content_disposition: "):
            read_query("files.get", ("replica", "gcp"), ("content_disposition", text))
        with pytest.raises(IllegalArguments, match=r"^object_id: "):
            OPERATIONS["drs.get"].arguments({"object_id": text}, MultiDict())

    @pytest.mark.parametrize("prefix", ["-a", "a*", "", "a/b", "a\n"])
    def test_a_prefix_has_the_form_of_the_beginning_of_a_uuid(self, prefix: str) -> None:
        with pytest.raises(
            IllegalArguments, match=r"^prefix: .* (is not the beginning of a UUID|holds a control character)"
        ):
            read_query("bundles.list_all", ("replica", "gcp"), ("prefix", prefix))
