"""Tracing: one trace follows a bundle through all processes, from PUT to the last delivery.

A process works in units: a request of the API, a message of Pub/Sub, a step of a workflow. Each is a span. It
is part of the trace that its caller names (W3C `traceparent`: a header, or an attribute of a message), unless
the work adopts the trace of what it is about. Events of GCS and calls of workflows name none of ours: heads
and jobs in the catalog keep the `traceparent` of their writer (field `trace`), and who reads them adopts it.

Spans are made by OpenTelemetry, which is imported with the first one. If nothing is exported, none is made:
the trace of the caller is passed on, so that the lines of the log still have it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, span, flags; 01 is sampled.
_TRACEPARENT = re.compile(r"00-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
# Of Google: TRACE/SPAN;o=1, the span in decimal digits.
_CLOUD_TRACE = re.compile(r"([0-9A-Fa-f]{32})/([0-9]{1,20})(?:;o=([01]))?")
_SAMPLED = 1
# The attribute of a message, and the header of a request.
TRACEPARENT = "traceparent"


class Work:
    """A unit of work, in one trace. Its span is made, and the trace settled, when it is first needed."""

    def __init__(
        self, tracer: "Tracer", name: str, parent: str, trace: str = "", *, adopts: bool = False
    ) -> None:
        self._tracer = tracer
        self._adopts = adopts
        self._name = name
        self._began = time.time_ns()
        self._parent = parent
        self._link = ""
        self._trace = trace
        self._attributes: dict[str, str | int] = {}
        self._error = ""
        self._span: Any = None
        self._lock = threading.Lock()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields by which Cloud Logging shows lines with the trace."""
        # https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
        current = self._traceparent_of_span() or self._parent
        match = _TRACEPARENT.fullmatch(current)
        trace = match[1] if match else self._trace
        if not trace:
            return {}
        fields: dict[str, Any] = {
            "logging.googleapis.com/trace": f"projects/{self._tracer.project}/traces/{trace}"
        }
        if match and self._span:
            fields["logging.googleapis.com/spanId"] = match[2]
            fields["logging.googleapis.com/trace_sampled"] = bool(int(match[3], 16) & _SAMPLED)
        return fields

    @property
    def trace(self) -> str:
        """The trace, in hex; empty if there is none."""
        match = _TRACEPARENT.fullmatch(self._traceparent_of_span() or self._parent)
        return match[1] if match else self._trace

    @property
    def adopts(self) -> bool:
        """Whether the work becomes part of the trace that the next document keeps."""
        return self._adopts and self._span is None

    def adopt(self, trace: str) -> None:
        """Make the work part of a trace, unless it has one already; link the caller's."""
        with self._lock:
            if self.adopts and _TRACEPARENT.fullmatch(trace):
                self._link, self._parent = self._parent, trace
                self._adopts = False

    def traceparent(self) -> str:
        """Return what names this work as the caller of other work; empty if there is no trace."""
        with self._lock:
            self._begin()
        return self._traceparent_of_span() or self._parent

    def note(self, **attributes: str | int) -> None:
        """Give the span attributes."""
        self._attributes.update(attributes)

    def fail(self, error: str) -> None:
        """Let the span say that the work failed, and why."""
        self._error = error

    def end(self) -> None:
        """End the span, which exports it."""
        with self._lock:
            self._begin()
            if self._span:
                self._span.set_attributes(self._attributes)
                if self._error:
                    from opentelemetry.trace import StatusCode

                    self._span.set_status(StatusCode.ERROR, self._error)
                self._span.end()

    def _begin(self) -> None:
        if self._span is None and self._tracer.exports:
            self._span = self._tracer.begin(self._name, self._parent, self._link, self._began)

    def _traceparent_of_span(self) -> str:
        if not self._span:
            return ""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


_current: ContextVar[Work | None] = ContextVar("work", default=None)


class Tracer:
    """Begins units of work. Without `exporter`, which is called once if needed, no spans are made."""

    def __init__(
        self, project: str = "", share: float = 1.0, exporter: Callable[[], Any] | None = None
    ) -> None:
        self.project = project
        self.exports = exporter is not None and share > 0
        self._share = share
        self._exporter = exporter
        self._tracer: Any = None
        self._lock = threading.Lock()

    def start(self, name: str, environ: Mapping[str, Any], *, trace: str = "") -> Work:
        """Return the work of a request, now the current work of this thread, until another takes its place.

        Anybody may have sent the request: so whether it is sampled is our decision, not theirs. `trace` is
        what else names the trace, for the log only.
        """
        parent = self._decided(traceparent_of(environ))
        work = Work(self, name, parent, trace)
        _current.set(work)
        return work

    @contextmanager
    def work(self, name: str, parent: str = "", *, trace: str = "", adopts: bool = False) -> Iterator[Work]:
        """Do the block as a unit of work, whose caller has the traceparent `parent`.

        With `adopts` it becomes part of the trace that the first document it reads keeps, if one does.
        """
        work = Work(self, name, parent if _TRACEPARENT.fullmatch(parent) else "", trace, adopts=adopts)
        token = _current.set(work)
        try:
            yield work
        except BaseException as error:
            work.fail(type(error).__name__)
            raise
        finally:
            work.end()
            _current.reset(token)

    def begin(self, name: str, parent: str, link: str, began: int) -> Any:
        """Return a new span, which began at `began` (ns since 1970)."""
        from opentelemetry import trace

        context = trace.set_span_in_context(trace.NonRecordingSpan(_context_of(parent))) if parent else None
        links = [trace.Link(_context_of(link))] if link else None
        return self._provided().start_span(name, context=context, links=links, start_time=began)

    def _provided(self) -> Any:
        with self._lock:
            if self._tracer is None:
                self._tracer = self._opened()
        return self._tracer

    def _opened(self) -> Any:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        assert self._exporter is not None
        # Ends with the process: at exit the provider exports what is left.
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(self._share)),
            # Cloud Trace: the project of the trace.
            resource=Resource({"service.name": "dss", "gcp.project_id": self.project}),
        )
        # Keeps 2,048 spans at most, and drops what is more.
        provider.add_span_processor(BatchSpanProcessor(self._exporter(), schedule_delay_millis=1000))
        return provider.get_tracer("dss")

    def _decided(self, parent: str) -> str:
        if not self.exports or not parent:
            return parent
        # As TraceIdRatioBased: by the last 64 bits of the trace.
        sampled = int(parent[19:35], 16) < self._share * 2**64
        return f"{parent[:53]}{int(sampled):02x}"


def traceparent_of(environ: Mapping[str, Any]) -> str:
    """Return the traceparent of a request, from its WSGI environment; empty if it names none."""
    if (given := str(environ.get("HTTP_TRACEPARENT", ""))) and _TRACEPARENT.fullmatch(given):
        return given
    if match := _CLOUD_TRACE.fullmatch(environ.get("HTTP_X_CLOUD_TRACE_CONTEXT", "")):
        given = f"00-{match[1].lower()}-{int(match[2]):016x}-0{match[3] or 0}"
        return given if _TRACEPARENT.fullmatch(given) else ""
    return ""


def current_traceparent() -> str:
    """Return what names the work of this thread as the caller of other work; empty if there is no trace."""
    work = _current.get()
    return work.traceparent() if work else ""


def current_fields() -> dict[str, Any]:
    """Return the fields of the current work for its lines of the log."""
    work = _current.get()
    return work.fields if work else {}


def current_trace() -> str:
    """Return the trace of the work of this thread, in hex; empty if there is none."""
    work = _current.get()
    return work.trace if work else ""


def adopt_kept(read: Callable[[], Mapping[str, Any] | None]) -> None:
    """Make the work of this thread part of the trace that a document keeps, if it has none of its own yet."""
    work = _current.get()
    if work and work.adopts:
        work.adopt((read() or {}).get("trace", ""))


def kept_trace() -> dict[str, str]:
    """Return the field with which a document keeps the trace of its writer; none if there is no trace."""
    trace = current_traceparent()
    return {"trace": trace} if trace else {}


def _context_of(traceparent: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
