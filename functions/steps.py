"""What functions have in common whose requests are steps of a workflow: `{step, job, attempt, …}`.

What may succeed later is answered 503; what will not is 422, and 400 where the request is not understood.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Request

from functions.runtime import system
from shared.errors import DssError, IllegalArguments, NotFound, Unavailable
from shared.system import Dss

_log = structlog.get_logger()

Answer = tuple[dict[str, Any], int]
Body = dict[str, Any]
# Opens the job that a body names, and does a step of it.
Work = Callable[[Dss, Body], Mapping[str, Any]]


def answer_step(request: Request, work: Work, *, logged: tuple[str, ...]) -> Answer:
    """Do what a request of a workflow asks for, and answer what the step says of itself.

    `logged` are the members of the body that each line of the log is to carry.
    """
    body = request.get_json(silent=True)
    try:
        if not isinstance(body, dict):
            raise IllegalArguments("a JSON object is wanted")
        with structlog.contextvars.bound_contextvars(**{name: body.get(name) for name in logged}):
            return done(system(), body, work)
    except (IllegalArguments, NotFound) as error:
        return _problem(error, 400)


def done(dss: Dss, body: Body, work: Work) -> Answer:
    """Do a step, and answer. Raises IllegalArguments and NotFound for a body that names none."""
    try:
        result = dict(work(dss, body))
    except (KeyError, TypeError, ValueError) as error:
        raise IllegalArguments(f"{{step, job, attempt}} are wanted, not {sorted(body)}: {error!r}") from error
    except (IllegalArguments, NotFound):
        raise
    except Unavailable as error:
        _log.warning("to be tried again", reason=error.title)
        return _problem(error, 503)
    except DssError as error:
        _log.error("step failed", code=error.code, reason=error.title)
        return _problem(error, 422)
    _log.info("step done", **result)
    return result, 200


def _problem(error: DssError, status: int) -> Answer:
    return {"status": status, "code": error.code, "title": error.title}, status
