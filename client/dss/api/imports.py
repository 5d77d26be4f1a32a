"""Calls about imports: objects that are in a cloud already become files and bundles."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from dss.api.session import BASE_PATH, Session
from dss.api.transport import Backoff, Call
from dss.clock import Deadline
from dss.errors import OperationFailed

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"
Notify = Callable[[Mapping[str, Any]], None]


class Import:
    """An import: its `id`, and what the DSS says of it::

        found = client.plan_import("gs://lab/run-7").wait()
        print(found.details["listed"], found.details["cost"])
        found.start().wait()
        for line in found.report():
            print(line)

    It can be pickled; `client.find_import(id)` returns it again from its id alone.
    """

    def __init__(self, session: Session, import_id: str, details: Mapping[str, Any] | None = None) -> None:
        self.id = import_id
        self._session = session
        self._details: Mapping[str, Any] = details or {}

    def __repr__(self) -> str:
        return f"<Import {self.id}: {self._details.get('status', 'not asked for yet')}>"

    @property
    def details(self) -> Mapping[str, Any]:
        """What the DSS says: `stage`, `status`, `ready`, `listed`, `cost`, `done`, and `cause` if it has
        failed.

        The DSS is asked each time, until the stage has ended.
        """
        if self._details.get("status", RUNNING) == RUNNING:
            self._details = self._session.answer_json(self._call("GET"), has="status")
        return self._details

    def wait(self, *, seconds: float = 30 * 86_400.0, notify: Notify | None = None) -> "Import":
        """Return this import as soon as its stage has succeeded; call `notify` with each of its `details`.

        Raises OperationFailed if it has failed, or is not done after so many seconds.
        """
        deadline, backoff = Deadline(self._session.clock, seconds), Backoff()
        while (details := self.details)["status"] == RUNNING:
            if notify:
                notify(details)
            pause = backoff.next()
            if pause >= deadline.remaining():
                raise OperationFailed(f"import {self.id} is not done after {seconds:.0f} s")
            self._session.clock.sleep(pause)
        if details["status"] != SUCCEEDED:
            cause = details.get("cause", "the DSS gives no cause")
            raise OperationFailed(
                f"import {self.id} failed: {cause}; `dss import --resume {self.id}` goes on"
            )
        return self

    def start(self) -> "Import":
        """Import what is listed, or go on after a failure; what is in is not done again."""
        self._details = self._session.answer_json(self._call("POST", "/start"), 202, has="status")
        return self

    def cancel(self) -> "Import":
        """End it, if it is running; what is in stays, and it can be started again."""
        self._details = self._session.answer_json(self._call("DELETE"), has="status")
        return self

    def report(self) -> Iterator[Mapping[str, Any]]:
        """Yield what did not go in: `object` or `bundle`, and why, as `failed` or `incomplete`."""
        part: int | None = 0
        while part is not None:
            answer = self._session.answer_json(self._call("GET", "/report", part=part), has="lines")
            yield from answer["lines"]
            part = answer.get("next")

    def _call(self, method: str, path: str = "", **params: Any) -> Call:
        return call_of(self._session, method, f"{self.id}{path}", params=params)


def plan_import(session: Session, import_id: str, order: Mapping[str, Any]) -> Import:
    """Have the DSS list what an import would do; the same call again returns the same import."""
    call = call_of(session, "PUT", quote(import_id), body=dict(order))
    _, details = session.answer(call, 200, 201, has="status")
    return Import(session, import_id, details)


def call_of(
    session: Session, method: str, path: str, *, body: Any = None, params: Mapping[str, Any] | None = None
) -> Call:
    """Return a call of a path below /imports, which is at the root of the host."""
    root = session.url.removesuffix(BASE_PATH)
    return Call(method=method, url=f"{root}/imports/{path}", params=dict(params or {}), body=body)
