"""Every workflow is one that Cloud Workflows takes: its syntax, its quotas, and what the house adds."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflows_emulator.main import load_workflow

from run.local.workflow_components import _CALLED
from shared.workflows import ADMINISTER, COPY

WORKFLOWS = sorted((Path(__file__).parents[2] / "workflows").glob("*.yaml"))
by_name = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def nodes(value: Any, depth: int = 0) -> Any:
    """Yield all values of a document with their depths."""
    yield depth, value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from nodes(child, depth + 1)


def maps(path: Path) -> list[dict[str, Any]]:
    return [value for _, value in nodes(yaml.safe_load(path.read_text())) if isinstance(value, dict)]


def step_names(steps: list[dict[str, Any]]) -> list[str]:
    return [name for step in steps for name in step]


def test_there_is_a_file_for_each_name_that_the_system_starts():
    assert {COPY, ADMINISTER} <= {path.stem for path in WORKFLOWS}


@by_name
def test_the_syntax_is_that_of_cloud_workflows(path):
    load_workflow(str(path))


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
    """Loops go over numbers, never over lists: those would be variables, of which 512 KB is all there is."""
    loops = [found["for"] for found in maps(path) if "for" in found]
    assert all("in" not in loop and "range" in loop for loop in loops)


@by_name
def test_variables_of_the_environment_are_those_that_are_set(path):
    # https://cloud.google.com/workflows/docs/reference/environment-variables: the service sets the last one.
    known = {*_CALLED.values(), "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID"}
    assert set(re.findall(r'sys\.get_env\("([^"]+)"\)', path.read_text())) <= known
