"""Runs a workflow by `workflows-emulator`, mended where it differs from Cloud Workflows.

As released (1.10.0) it starts all iterations of a parallel step at once, whatever the limit, with one set
of variables for all of them; takes `delay` for `initial_delay` and stops where that comes to `max_delay`;
knows no OIDC; lets a broken connection end the execution instead of being retried; turns `null` into text;
and keeps a lock for ever where an assignment fails.
"""

import contextlib
import copy
import os
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from workflows_emulator import main as emulator
from workflows_emulator import render
from workflows_emulator.lib import http_utils, sys_utils
from workflows_emulator.utils import WorkflowError

from local.minting import mint
from local.probes import NotReady

# Cloud Workflows: 20 branches or iterations at once.
_MOST_AT_ONCE = 20
_WHOLE = re.compile(r"\$\{((?:(?!\$\{).)*)\}", re.DOTALL)


def run(path: Path, argument: Any) -> Any:
    """Return what a workflow returns for an argument. Raises WorkflowError, and whatever else ends it."""
    mend()
    workflow = emulator.load_workflow(str(path))
    names = workflow["main"].get("params", [])
    return emulator.execute_workflow(workflow, {names[0]: argument} if names else {})


def mend() -> None:
    """Put what is mended in the place of what is not."""
    emulator.StepParallel = Parallel
    emulator.StepRetry = Retry
    emulator.StepAssign = Assign
    emulator.render_config = render.render_config
    http_utils.request = request
    sys_utils.sleep = pause
    render.render_str = rendered
    render.STANDARD_LIBRARY.update({"true": True, "false": False, "null": None})


def pause(seconds: float) -> None:
    """Sleep for so many seconds of Cloud Workflows; DSS_LOCAL_WORKFLOWS_PACE makes them shorter or longer."""
    time.sleep(float(seconds) * float(os.environ.get("DSS_LOCAL_WORKFLOWS_PACE") or 1))


_rendered_text = render.render_str


def rendered(value: Any, context: Mapping[str, Any]) -> Any:
    """Return the value of a text with expressions in it; of one that is an expression, with its type."""
    whole = _WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return render.run_code(whole.group(1).strip(), context) if whole else _rendered_text(value, context)


def request(
    method: str,
    url: str,
    timeout: float = 300,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    auth: Mapping[str, str] | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Make an HTTP request as the `http` module of Cloud Workflows does; errors are those of its retries."""
    sent = dict(headers or {})
    if auth:
        sent["Authorization"] = f"Bearer {_token(auth.get('audience', url))}"
    content = {"json": body} if isinstance(body, dict | list) else {"data": body}
    try:
        answer = requests.request(method, url, headers=sent, params=query, timeout=timeout, **content)
    except requests.Timeout as error:
        raise WorkflowError(message=str(error), tags=["TimeoutError"], code=0) from error
    except requests.RequestException as error:
        raise WorkflowError(message=str(error), tags=["ConnectionError"], code=0) from error
    is_json = "application/json" in answer.headers.get("Content-Type", "")
    known = {
        "code": answer.status_code,
        "headers": dict(answer.headers),
        "body": answer.json() if is_json else answer.text,
    }
    if not answer.ok:
        message = f"HTTP server responded with error code {answer.status_code}"
        raise WorkflowError(message=message, tags=["HttpError"], **known)
    return known


def _token(audience: str) -> str:
    """Return a token for a function; in the clouds Google signs it, and the function's platform checks it."""
    try:
        return mint(os.environ, "workflows@example.org", aud=audience)
    except NotReady as error:
        raise WorkflowError(message=str(error), tags=["ConnectionError"], code=0) from error


class Assign(emulator.StepAssign):  # type: ignore[misc]
    """An assignment that lets others go on where it fails."""

    def execute(self) -> Any:
        """Assign; see the emulator."""
        try:
            return super().execute()
        except BaseException:
            with contextlib.suppress(RuntimeError):
                emulator.LOCK.release()
            raise


class Retry(emulator.StepRetry):  # type: ignore[misc]
    """Tries again as Cloud Workflows does: growing delays, the last of them `max_delay` and no end."""

    def execute(self) -> Any:
        """Try, and try again."""
        policy = emulator.render_config(self.config["retry"], self.context)
        backoff = policy.get("backoff", {})
        delay = backoff.get("initial_delay", 1)
        left = policy.get("max_retries", 0)
        while True:
            try:
                return emulator.execute_step(self.step_id, self.config["try"], self.context)
            except WorkflowError as error:
                if left <= 0 or not self._is_worth_it(policy.get("predicate"), error):
                    return self._given_up(error)
            left -= 1
            pause(min(delay, backoff.get("max_delay", 60)))
            delay *= backoff.get("multiplier", 1)

    def _is_worth_it(self, predicate: Any, error: WorkflowError) -> bool:
        if predicate is None:
            return True
        subworkflows = emulator.keep_only_subworkflows(self.context)
        return bool(emulator.execute_subworkflow(predicate, {"e": error.payload}, subworkflows))

    def _given_up(self, error: WorkflowError) -> Any:
        if "except" not in self.config:
            raise error
        self.context[self.config["except"]["as"]] = error.payload
        return emulator.execute_steps_list(self.config["except"]["steps"], self.context)


class Parallel(emulator.StepParallel):  # type: ignore[misc]
    """Branches or iterations side by side, no more than the limit, each with variables of its own."""

    def execute_task_config(
        self,
        task_configs: list[Any],
        concurrency_limit: int | None = None,
        index_var: str = "__index",
        value_var: str = "__value",
    ) -> Any:
        """Run them all; where one fails, begin no others, and raise when those that run have ended."""
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
    """The variables of one branch: those outside as they were, and the shared ones as they are."""

    def __init__(self, outside: dict[str, Any], shared: frozenset[str]) -> None:
        super().__init__(outside)
        self._outside = outside
        self._shared = shared

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name in self._shared:
            self._outside[name] = value

    def update(self, *others: Any, **more: Any) -> None:
        """Set each of them."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        # What expressions are evaluated on.
        now = {name: self._outside[name] for name in self._shared if name in self._outside}
        return copy.deepcopy({**self, **now}, memo)
