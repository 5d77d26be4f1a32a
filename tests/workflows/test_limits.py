"""Every workflow is one that Cloud Workflows takes: its syntax, its quotas, and what the house adds."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from workflows_emulator.main import load_workflow

from local.components.workflows import _CALLED
from run.api.openapi import read_document
from shared.workflows import ADMINISTER, CHECKOUT, COPY, IMPORT, MANIFEST

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))
# The numbers of an import's shards that have rows: SHARDS at most.
BOUNDED = {"${list_result.shards}"}
by_name = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def nodes(value: Any, depth: int = 0) -> Any:
    """Yield all values of a document with their depths."""
    yield depth, value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from nodes(child, depth + 1)


def maps(path: Path) -> list[dict[str, Any]]:
    return [value for _, value in nodes(read_document(path)) if isinstance(value, dict)]


def step_names(steps: list[dict[str, Any]]) -> list[str]:
    return [name for step in steps for name in step]


def test_there_is_a_file_for_each_name_that_the_system_starts():
    assert {path.stem for path in WORKFLOWS} == {ADMINISTER, CHECKOUT, COPY, IMPORT, MANIFEST}


@by_name
def test_the_syntax_is_that_of_cloud_workflows(path):
    """By the schema of https://json.schemastore.org/workflows.json, which comes with the emulator."""
    assert "main" in load_workflow(str(path))


@by_name
def test_a_word_that_cloud_workflows_does_not_know_is_refused(path, tmp_path):
    (tmp_path / "misspelt.yaml").write_text(path.read_text().replace("call:", "cal:", 1))
    with pytest.raises(ValidationError):
        load_workflow(str(tmp_path / "misspelt.yaml"))


@by_name
def test_documented_limits_are_kept(path):
    # https://cloud.google.com/workflows/quotas: 128 KB of source, 400 characters an expression, 50
    # assignments a step, 100 conditions a switch, 100,000 steps a workflow.
    text = path.read_text()
    assert len(text.encode()) <= 128 * 1024
    assert all(len(found) <= 400 for found in re.findall(r"\$\{[^}]*\}", text))
    for found in maps(path):
        assert len(found.get("assign", [])) <= 50
        assert len(found.get("switch", [])) <= 50
        if isinstance(found.get("steps"), list):
            names = step_names(found["steps"])
            assert len(set(names)) == len(names)
            assert all(re.fullmatch(r"[a-z_][a-z0-9_]{0,63}", name) for name in names)
    assert max(depth for depth, _ in nodes(yaml.safe_load(text))) <= 30


@by_name
def test_no_more_than_twenty_iterations_run_at_once(path):
    parallel = [found["parallel"] for found in maps(path) if "parallel" in found]
    assert all(0 < step["concurrency_limit"] <= 20 for step in parallel)


@by_name
def test_calls_are_signed_bounded_in_time_and_tried_again(path):
    tried = [found for found in maps(path) if "retry" in found]
    calls = [found for found in maps(path) if str(found.get("call", "")).startswith("http.")]
    assert calls
    for call in calls:
        assert call["args"]["auth"] == {"type": "OIDC"}
        assert call["args"]["timeout"] <= 1800
        assert call in [step["try"] for step in tried]
    for step in tried:
        assert 0 < step["retry"]["max_retries"] <= 20
        assert step["retry"]["backoff"]["multiplier"] > 1
        assert step["retry"]["backoff"]["max_delay"] <= 600


@by_name
def test_nothing_that_grows_with_the_data_is_ever_a_variable(path):
    """Loops go over numbers, and bounded lists: those are variables, of which 512 KB is all there is."""
    loops = [found["for"] for found in maps(path) if "for" in found]
    assert all("range" in loop or loop["in"] in BOUNDED for loop in loops)


@by_name
def test_variables_of_the_environment_are_those_that_are_set(path):
    # https://cloud.google.com/workflows/docs/reference/environment-variables: the service sets the last one.
    known = {*_CALLED.values(), "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID"}
    assert set(re.findall(r'sys\.get_env\("([^"]+)"\)', path.read_text())) <= known


def routines(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_document(path)
    return found


def step_lists(routine: Any) -> list[list[dict[str, Any]]]:
    return [found["steps"] for _, found in nodes(routine) if isinstance(found, dict) and "steps" in found]


@by_name
def test_every_jump_leads_to_a_step_of_its_routine_and_every_call_to_a_routine(path):
    for routine in routines(path).values():
        names = {name for steps in step_lists(routine) for name in step_names(steps)}
        found = [value for _, value in nodes(routine) if isinstance(value, dict)]
        assert {row["next"] for row in found if "next" in row} <= names | {"end", "break", "continue"}
        for row in found:
            if "call" in row and not row["call"].startswith(("http.", "sys.")):
                params = routines(path)[row["call"]]["params"]
                optional = {name for param in params if isinstance(param, dict) for name in param}
                required = {param for param in params if isinstance(param, str)}
                assert required <= set(row.get("args", {})) <= required | optional, row
        for row in found:
            if "predicate" in row:
                assert row["predicate"].strip("${}") in routines(path)


def calls(routine: Any) -> set[str]:
    return {str(found["call"]) for _, found in nodes(routine) if isinstance(found, dict) and "call" in found}


@by_name
def test_routines_call_each_other_within_the_stack_and_never_in_a_circle(path):
    # https://cloud.google.com/workflows/quotas: 20 calls deep.
    def depth(name: str, above: tuple[str, ...]) -> int:
        assert name not in above
        below = [called for called in calls(routines(path)[name]) if called in routines(path)]
        return 1 + max((depth(called, (*above, name)) for called in below), default=0)

    assert depth("main", ()) <= 20
    assert set(routines(path)) == {"main"} | {
        name
        for routine in routines(path).values()
        for name in routines(path)
        if name in calls(routine) or f"${{{name}}}" in str(routine)
    }


@by_name
def test_a_failure_is_caught_and_reported_to_the_function(path):
    """Every call of a function from `main` stands in a try, and the function hears of what ends the work."""
    text = routines(path)["main"]
    tried = [found for _, found in nodes(text) if isinstance(found, dict) and "try" in found]
    covered = [
        id(found)
        for step in tried
        for part in (step["try"], step["except"])
        for _, found in nodes(part)
        if isinstance(found, dict)
    ]
    for _, found in nodes(text):
        if isinstance(found, dict) and found.get("call") == "run_step":
            assert id(found) in covered, found
    assert all(step["except"]["steps"] for step in tried)
    assert any("cause" in str(step["except"]) for step in tried)


@by_name
def test_only_names_and_numbers_are_sent_to_a_function(path):
    """What grows with the data is in Firestore: no step hands it on."""
    sent = {
        name
        for found in maps(path)
        for body in (found.get("args", {}) if found.get("call") == "run_step" else {},)
        for name in (body.get("body", body) or {})
    }
    assert sent <= {
        "step",
        "job",
        "attempt",
        "batch",
        "page",
        "cause",
        "run",
        "execution",
        "argument",
        "shard",
    }


@by_name
def test_parallel_steps_are_not_nested(path):
    # https://cloud.google.com/workflows/quotas: two deep at most.
    for found in maps(path):
        if "parallel" in found:
            assert not any("parallel" in one for _, one in nodes(found["parallel"]) if isinstance(one, dict))
