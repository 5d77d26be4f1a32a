"""`copy`: the steps of a large copy. Called by the copy workflow, and by nobody else.

A request is `{step, job, attempt}`, with `batch` for the step `batch` and `cause` for `abort`. What may
succeed later is answered 503; what will not is 422, and 400 where the request is not understood.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
import structlog
from flask import Request

from functions.runtime import system
from shared.copy_steps import CopyStep, Result
from shared.errors import DssError, IllegalArguments, NotFound, Unavailable
from shared.system import Dss

_log = structlog.get_logger()

Answer = tuple[dict[str, Any], int]

_STEPS: dict[str, Callable[[CopyStep, dict[str, Any]], Result]] = {
    "plan": lambda step, _: step.plan(),
    "batch": lambda step, body: step.batch(int(body["batch"])),
    "finish": lambda step, _: step.finish(),
    "abort": lambda step, body: step.abort(str(body["cause"])),
}


@functions_framework.http
def copy(request: Request) -> Answer:
    """Do one step of a copy job, and answer what it says of itself."""
    body = request.get_json(silent=True)
    try:
        if not isinstance(body, dict):
            raise IllegalArguments("a JSON object is wanted")
        with structlog.contextvars.bound_contextvars(
            **{name: body.get(name) for name in ("step", "job", "attempt", "batch")}
        ):
            return _done(system(), body)
    except (IllegalArguments, NotFound) as error:
        return _problem(error, 400)


def _done(dss: Dss, body: dict[str, Any]) -> Answer:
    try:
        run = _STEPS[body["step"]]
        step = CopyStep(dss, str(body["job"]), int(body["attempt"]))
        result = run(step, body)
    except (KeyError, TypeError, ValueError) as error:
        raise IllegalArguments(f"{{step, job, attempt}} are wanted, not {sorted(body)}: {error!r}") from error
    except (IllegalArguments, NotFound):
        raise
    except Unavailable as error:
        _log.warning("to be tried again", reason=error.title)
        return _problem(error, 503)
    except DssError as error:
        _log.error("copy failed", code=error.code, reason=error.title)
        return _problem(error, 422)
    _log.info("step done", **result)
    return result, 200


def _problem(error: DssError, status: int) -> Answer:
    return {"status": status, "code": error.code, "title": error.title}, status
