"""Run a workflow by `workflows-emulator`, patched where it differs from Cloud Workflows.

As released (1.10.0) it ignores the limit of a parallel step, and starts all iterations at once, with one set
of variables for all of them; reads `delay` instead of `initial_delay`, and stops when that reaches
`max_delay`; knows no OIDC; ends the execution on a broken connection instead of retrying; turns `null` into
text; and keeps a lock for ever if an assignment fails.
"""

import contextlib
import copy
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import requests
from workflows_emulator import main as emulator
from workflows_emulator import render
from workflows_emulator.lib import http_utils, sys_utils
from workflows_emulator.utils import WorkflowError

from workflows_server.options import Options

# The release whose internals are replaced; pyproject.toml pins the same.
EMULATOR_VERSION = "1.10.0"
# Cloud Workflows: 20 branches or iterations at once.
_MOST_AT_ONCE = 20
_WHOLE = re.compile(r"\$\{((?:(?!\$\{).)*)\}", re.DOTALL)


class EmulatorChanged(Exception):
    """The installed workflows-emulator is another than the one patched here; the text says how it differs."""


def run(path: Path, argument: Any, options: Options) -> Any:
    """Return the result of a workflow for an argument. Raises WorkflowError if it fails."""
    patch_emulator(options)
    workflow = emulator.load_workflow(str(path))
    names = workflow["main"].get("params", [])
    return emulator.execute_workflow(workflow, {names[0]: argument} if names else {})


def replacements(options: Options) -> list[tuple[ModuleType, str, Any]]:
    """Return the eight names that are replaced: module, name, and what takes its place."""
    library = {**render.STANDARD_LIBRARY, "true": True, "false": False, "null": None}
    return [
        (emulator, "StepParallel", Parallel),
        (emulator, "StepRetry", Retry),
        (emulator, "StepAssign", Assign),
        (emulator, "render_config", render.render_config),
        (http_utils, "request", partial(request, options.identity_url)),
        (sys_utils, "sleep", partial(_pause, options.pace)),
        (render, "render_str", rendered),
        (render, "STANDARD_LIBRARY", library),
    ]


def patch_emulator(options: Options) -> None:
    """Replace the names. Raises EmulatorChanged if one of them is gone, or the release is another."""
    installed = version("workflows-emulator")
    if installed != EMULATOR_VERSION:
        raise EmulatorChanged(f"workflows-emulator is {installed}; install {EMULATOR_VERSION}")
    for module, name, value in replacements(options):
        if not hasattr(module, name):
            raise EmulatorChanged(f"workflows-emulator {installed} has no {module.__name__}.{name}")
        setattr(module, name, value)


def _pause(pace: float, seconds: float) -> None:
    """Sleep for `seconds` of Cloud Workflows, which are `pace` times as long here."""
    time.sleep(float(seconds) * pace)


_render_text: Callable[..., Any] = render.render_str


def rendered(value: Any, context: Mapping[str, Any]) -> Any:
    """Evaluate a text with expressions in it; a text that is one expression keeps the type of its value."""
    whole = _WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return render.run_code(whole.group(1).strip(), context) if whole else _render_text(value, context)


def request(
    identity_url: str,
    method: str,
    url: str,
    timeout: float = 300,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    auth: Mapping[str, str] | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Make an HTTP request as the `http` module of Cloud Workflows does; raise WorkflowError as it does."""
    all_headers = dict(headers or {})
    if auth:
        all_headers["Authorization"] = f"Bearer {_token(identity_url, auth.get('audience', url))}"
    content = {"json": body} if isinstance(body, dict | list) else {"data": body}
    with _connection_errors():
        answer = requests.request(method, url, headers=all_headers, params=query, timeout=timeout, **content)
    is_json = "application/json" in answer.headers.get("Content-Type", "")
    result = {
        "code": answer.status_code,
        "headers": dict(answer.headers),
        "body": answer.json() if is_json else answer.text,
    }
    if not answer.ok:
        message = f"HTTP server responded with error code {answer.status_code}"
        raise WorkflowError(message=message, tags=["HttpError"], **result)
    return result


def _token(identity_url: str, audience: str) -> str:
    """Return a token for a service; on Google Cloud, Google signs it and the platform checks it."""
    if not identity_url:
        raise WorkflowError(
            message="`auth` needs an issuer of tokens: start with --identity-url", tags=["AuthError"], code=0
        )
    with _connection_errors():
        # https://cloud.google.com/docs/authentication/get-id-token#metadata-server
        answer = requests.get(
            identity_url, {"audience": audience}, headers={"Metadata-Flavor": "Google"}, timeout=10
        )
        answer.raise_for_status()
    return answer.text


@contextlib.contextmanager
def _connection_errors() -> Iterator[None]:
    try:
        yield
    except requests.Timeout as error:
        raise WorkflowError(message=str(error), tags=["TimeoutError"], code=0) from error
    except requests.RequestException as error:
        raise WorkflowError(message=str(error), tags=["ConnectionError"], code=0) from error


class Assign(emulator.StepAssign):  # type: ignore[misc]
    """An assignment that releases the lock if it fails."""

    def execute(self) -> Any:
        """Assign as the emulator does."""
        try:
            return super().execute()
        except BaseException:
            with contextlib.suppress(RuntimeError):
                emulator.LOCK.release()
            raise


class Retry(emulator.StepRetry):  # type: ignore[misc]
    """Retries as Cloud Workflows does: delays grow up to `max_delay`, and retries go on at that."""

    def execute(self) -> Any:
        """Run the steps, and retry by the policy."""
        policy = emulator.render_config(self.config["retry"], self.context)
        backoff = policy.get("backoff", {})
        delay = backoff.get("initial_delay", 1)
        left = policy.get("max_retries", 0)
        while True:
            try:
                return emulator.execute_step(self.step_id, self.config["try"], self.context)
            except WorkflowError as error:
                if left <= 0 or not self._is_retryable(policy.get("predicate"), error):
                    return self._fail(error)
            left -= 1
            sys_utils.sleep(min(delay, backoff.get("max_delay", 60)))
            delay *= backoff.get("multiplier", 1)

    def _is_retryable(self, predicate: Any, error: WorkflowError) -> bool:
        if predicate is None:
            return True
        subworkflows = emulator.keep_only_subworkflows(self.context)
        return bool(emulator.execute_subworkflow(predicate, {"e": error.payload}, subworkflows))

    def _fail(self, error: WorkflowError) -> Any:
        if "except" not in self.config:
            raise error
        self.context[self.config["except"]["as"]] = error.payload
        return emulator.execute_steps_list(self.config["except"]["steps"], self.context)


class Parallel(emulator.StepParallel):  # type: ignore[misc]
    """Branches or iterations in parallel, up to the limit, each with variables of its own."""

    def execute_task_config(
        self,
        task_configs: list[Any],
        concurrency_limit: int | None = None,
        index_var: str = "__index",
        value_var: str = "__value",
    ) -> Any:
        """Run all tasks; if one fails, start no others, and raise when those that run have ended."""
        shared = frozenset(self.config["parallel"].get("shared", []))
        stopped = threading.Event()

        def run_one(index: int, task: Any) -> None:
            if stopped.is_set():
                return
            context = Variables(self.context, shared)
            context.update({index_var: index, value_var: task["id"]})
            try:
                emulator.execute_step(str(task["id"]), task["config"], context)
            except BaseException:
                stopped.set()
                raise

        errors: dict[Any, WorkflowError] = {}
        with ThreadPoolExecutor(min(concurrency_limit or _MOST_AT_ONCE, _MOST_AT_ONCE)) as threads:
            futures = [threads.submit(run_one, index, task) for index, task in enumerate(task_configs)]
        for future, task in zip(futures, task_configs, strict=True):
            try:
                future.result()
            except WorkflowError as error:
                errors[task["id"]] = error
        self.check_raise_results(errors)
        return self.context


class Variables(dict[str, Any]):
    """The variables of a branch: a copy of the outer ones, except that shared ones are the outer ones."""

    def __init__(self, outside: dict[str, Any], shared: frozenset[str]) -> None:
        super().__init__(outside)
        self._outside = outside
        self._shared = shared

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name in self._shared:
            self._outside[name] = value

    def update(self, *others: Any, **more: Any) -> None:
        """Set each variable."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        # The emulator evaluates expressions on a deep copy.
        now = {name: self._outside[name] for name in self._shared if name in self._outside}
        return copy.deepcopy({**self, **now}, memo)
