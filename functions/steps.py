"""Functions whose requests are steps of a workflow: `{step, job, attempt, …}`.

An error that may pass is answered 503; one that stays is 422, or 400 if the request itself is wrong. While an
operator has stopped the system, the answer is 202, and the workflow asks again.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Request

from functions.runtime import system, traced
from shared.errors import DssError, IllegalArguments, NotFound, Stopped, Unavailable
from shared.system import Dss

_log = structlog.get_logger()

Answer = tuple[dict[str, Any], int]
Body = dict[str, Any]
# Does the step that a body names.
Work = Callable[[Dss, Body], Mapping[str, Any]]


def answer_step(request: Request, work: Work, *, logged: tuple[str, ...]) -> Answer:
    """Do the step that a request of a workflow names, and answer its result.

    Each line of the log has the members `logged` of the body.
    """
    body = request.get_json(silent=True)
    try:
        if not isinstance(body, dict):
            raise IllegalArguments("the body must be a JSON object")
        dss = system()
        dss.switches.check_running()
        fields = {name: body.get(name) for name in logged}
        with (
            structlog.contextvars.bound_contextvars(**fields),
            # The job keeps the trace of who ordered it.
            traced(
                dss, request, f"{work.__module__.rpartition('.')[2]} {body.get('step')}", adopts=True
            ) as traced_work,
        ):
            traced_work.note(**{name: str(value) for name, value in fields.items() if value is not None})
            answer = done(dss, body, work)
            if answer[1] != 200:
                traced_work.fail(str(answer[0].get("code", "")))
            return answer
    except Stopped:
        # No error: the workflow asks again in some seconds, for as long as it takes.
        return {"stopped": True}, 202
    except (IllegalArguments, NotFound) as error:
        return _problem(error, 400)


def done(dss: Dss, body: Body, work: Work) -> Answer:
    """Do a step, and answer. Raises IllegalArguments and NotFound if the body names no step or job."""
    try:
        result = dict(work(dss, body))
    except (KeyError, TypeError, ValueError) as error:
        raise IllegalArguments(
            f"the body must be {{step, job, attempt}}, not {sorted(body)}: {error!r}"
        ) from error
    except (IllegalArguments, NotFound):
        raise
    except Unavailable as error:
        _log.warning("step failed for now", reason=error.title)
        return _problem(error, 503)
    except DssError as error:
        _log.error("step failed", code=error.code, reason=error.title)
        return _problem(error, 422)
    _log.info("step done", **result)
    return result, 200


def _problem(error: DssError, status: int) -> Answer:
    return {"status": status, "code": error.code, "title": error.title}, status
