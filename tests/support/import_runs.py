"""Imports whose steps run in the test's own process, as the workflow calls them, and can die at any point."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from shared.catalog import ImportJob, ImportOrder, JobState
from shared.copying.steps import CopyStep
from shared.imports.jobs import find_import, report_lines, request_import, request_list, status_of
from shared.imports.steps import ImportStep
from shared.imports.web import WebStore
from shared.system import Dss
from tests.support.api import new_uuid
from tests.support.dss import open_dss

WRITERS = frozenset(("dss",))


class Died(BaseException):
    """The process of a step was killed."""


class Deadly:
    """Fault points, of which the `at`-th that is reached, counted from 1, kills the step."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.reached: list[str] = []

    def reach(self, point: str) -> None:
        """Note a point, and die if it is the one."""
        self.reached.append(point)
        if len(self.reached) == self.at:
            raise Died(point)


class Started:
    """Workflows that are started, and run by the test."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Mapping[str, Any]]] = []

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Note an execution."""
        self.started.append((workflow, argument))
        return f"execution {len(self.started)}"


@dataclass
class Imports:
    """What runs imports in this process."""

    dss: Dss
    web: WebStore | None = None
    steps: list[str] = field(default_factory=list)

    def order(self, source: str = "", **more: Any) -> ImportOrder:
        """Return an order of somebody who may write."""
        members = {"email": "writer@example.org", "groups": tuple(WRITERS), "replica": "gcp", **more}
        return ImportOrder(source=source, **{"metadata": ("*.json",), **members})

    def listed(self, order: ImportOrder) -> ImportJob:
        """Return an import of an order, listed to its end."""
        job = request_list(self.dss, new_uuid(), order)
        self.drive(job)
        return find_import(self.dss, job.id)

    def imported(self, order: ImportOrder) -> ImportJob:
        """Return an import of an order, imported to its end."""
        return self.go_on(self.listed(order))

    def go_on(self, job: ImportJob) -> ImportJob:
        """Return a listed import, imported to its end."""
        assert job.is_ready, (job.state, job.cause)
        self.drive(request_import(self.dss, job))
        return find_import(self.dss, job.id)

    def drive(self, job: ImportJob) -> None:
        """Call the steps of an attempt as the workflow does; one that dies is called again."""
        listed = self._repeated("list", job)
        for shard in [] if listed["over"] else listed["shards"]:
            self._repeated("shard", job, shard)
        self._step("finish", job)

    def _repeated(self, name: str, job: ImportJob, *more: Any) -> dict[str, Any]:
        for _ in range(500):
            done = self._step(name, job, *more)
            if done and done["done"]:
                return done
            if done and done.get("wait"):
                self._copy()
        raise AssertionError(f"step {name} does not come to an end")

    def _step(self, name: str, job: ImportJob, *more: Any) -> dict[str, Any] | None:
        self.steps.append(name)
        try:
            step = ImportStep(self.dss, job.id, job.attempt, self.web)
            result: dict[str, Any] = getattr(step, name)(*more)
            return result
        except Died:
            return None

    def _copy(self) -> None:
        """Do the copies that were ordered."""
        assert isinstance(self.dss.workflows, Started)
        for workflow, argument in self.dss.workflows.started:
            if workflow == "copy":
                step = CopyStep(self.dss, argument["job"], argument["attempt"])
                for batch in range(step.plan()["batches"]):
                    while not CopyStep(self.dss, argument["job"], argument["attempt"]).batch(batch)["done"]:
                        pass
                CopyStep(self.dss, argument["job"], argument["attempt"]).finish()
        self.dss.workflows.started.clear()

    def counts(self, job: ImportJob) -> dict[str, int]:
        """Return what was done in the latest attempt."""
        assert job.state is JobState.SUCCEEDED, job.cause
        done: dict[str, int] = status_of(self.dss, job)["done"]
        return {name: count for name, count in done.items() if count}

    def report(self, job: ImportJob) -> Sequence[dict[str, Any]]:
        """Return all lines of the report."""
        lines: list[dict[str, Any]] = []
        part: int | None = 0
        while part is not None:
            more, part = report_lines(self.dss, job, part)
            lines += more
        return lines


@contextmanager
def imports_in_process(stack: Mapping[str, str], **settings: str) -> Iterator[Imports]:
    """Yield what runs imports with the back ends of a stack."""
    with open_dss({**stack, **settings}) as dss:
        yield Imports(replace(dss, workflows=Started()))  # type: ignore[arg-type] # it looks at none
