"""Tracing: one trace follows a bundle through all processes, from PUT to the last delivery.

A process works in units: a request of the API, a message of Pub/Sub, a step of a workflow. Each is a span. It
is part of the trace that its caller names (W3C `traceparent`: a header, or an attribute of a message), unless
the work adopts the trace of what it is about. Events of GCS and calls of workflows name none of ours: heads
and jobs in the catalog keep the `traceparent` of their writer (field `trace`), and who reads them adopts it.

Spans are made by OpenTelemetry, which is imported with the first one. If nothing is exported, none is made:
the trace of the caller is passed on, so that the lines of the log still have it.

Export never fails work: spans wait in a queue of _QUEUED at most, and a thread exports them. Only
`Tracer.flush` waits for it, and no longer than it is told.
"""

import atexit
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Any

import structlog

_log = structlog.get_logger()

# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, span, flags; 01 is sampled.
_TRACEPARENT = re.compile(r"00-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
# Of Google: TRACE/SPAN;o=1, the span in decimal digits; for the log the trace alone is enough.
_CLOUD_TRACE = re.compile(r"([0-9A-Fa-f]{32})/([0-9]{1,20})(?:;o=([01]))?")
_TRACE_ALONE = re.compile(r"([0-9A-Fa-f]{1,32})(/.*)?")
_SAMPLED = 1
# Cloud Logging: the lines with the same value are shown with the request that Cloud Run logs itself.
# https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
_FIELD = "logging.googleapis.com/trace"
# Spans that wait for their export, some 2 KiB each; what is more is dropped. Spans of one request.
_QUEUED = 2048
_BATCH = 512
_EXPORTED_EVERY_SECONDS = 1.0
# How long nobody waits for exports after one that was late.
_RESTS_SECONDS = 60.0
# How long a process that ends waits for its last export. Cloud Run kills it after 10.
_CLOSES_SECONDS = 3.0
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
        self._began = time.time_ns() if tracer.exports else 0
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
        fields: dict[str, Any] = trace_fields(self.trace, self._tracer.project)
        if self._span:
            context = self._span.get_span_context()
            fields["logging.googleapis.com/spanId"] = f"{context.span_id:016x}"
            fields["logging.googleapis.com/trace_sampled"] = bool(context.trace_flags & _SAMPLED)
        return fields

    @property
    def trace(self) -> str:
        """The trace, in hex; empty if there is none."""
        named = self._traceparent_of_span() or self._parent
        return named.split("-")[1] if named else self._trace

    @property
    def exported(self) -> bool:
        """Whether its span, which has begun, is exported when it ends."""
        return self._span is not None and bool(self._span.get_span_context().trace_flags & _SAMPLED)

    @property
    def adopts(self) -> bool:
        """Whether the work becomes part of the trace that the next document keeps."""
        return self._adopts and self._span is None

    def adopt(self, trace: str) -> None:
        """Make the work part of a trace, and link its caller's; only the first call does anything."""
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

    def rename(self, name: str) -> None:
        """Give the work another name, once it is known what it is."""
        self._name = name

    def fail(self, error: str) -> None:
        """Let the span say that the work failed, and why."""
        self._error = error

    def end(self) -> None:
        """End the span, which exports it."""
        if not self._tracer.exports:
            return
        with self._lock:
            self._begin()
            self._span.update_name(self._name)
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
    """Begins units of work. Without `exporter`, which opens what exports their spans, none are made.

    `exporter` is called by the thread that exports: if it fails, so does the export, and the next one tries
    again. `share` of the traces are exported, as those of `service`.
    """

    def __init__(
        self,
        project: str = "",
        share: float = 1.0,
        exporter: Callable[[], Any] | None = None,
        *,
        service: str = "dss",
    ) -> None:
        self.project = project
        self._service = service
        self.exports = exporter is not None and share > 0
        self._share = share
        self._exporter = exporter
        # What waits for a flush.
        self._flushes: SimpleQueue[threading.Event] | None = None
        self._tracer: Any = None
        self._lock = threading.Lock()
        self._rests_until = float("-inf")

    def start(self, name: str, environ: Mapping[str, Any]) -> Work:
        """Return the work of a request, the current work of this thread until another takes its place."""
        parent = self._caller(environ)
        work = Work(self, name, parent, "" if parent else trace_of(environ))
        _current.set(work)
        return work

    @contextmanager
    def work(
        self, name: str, parent: str = "", *, environ: Mapping[str, Any] | None = None, adopts: bool = False
    ) -> Iterator[Work]:
        """Do the block as a unit of work, whose caller has the traceparent `parent`, or sent this request.

        With `adopts` it becomes part of the trace that the first document it reads keeps, if that does.
        """
        environ = environ or {}
        caller = parent if _TRACEPARENT.fullmatch(parent) else self._caller(environ)
        work = Work(self, name, caller, "" if caller else trace_of(environ), adopts=adopts)
        token = _current.set(work)
        try:
            yield work
        except BaseException as error:
            work.fail(type(error).__name__)
            raise
        finally:
            work.end()
            _current.reset(token)

    def flush(self, *, seconds: float) -> None:
        """Export what has ended, and wait for that so long at most. It raises nothing.

        After an export that was late, nobody waits for a minute.
        """
        if self._flushes is None or time.monotonic() < self._rests_until:
            return
        done = threading.Event()
        self._flushes.put(done)
        if not done.wait(seconds):
            self._rests_until = time.monotonic() + _RESTS_SECONDS
            _log.warning("spans are not exported in time", seconds=seconds)

    def begin(self, name: str, parent: str, link: str, began: int) -> Any:
        """Return a new span, which began at `began` (ns since 1970)."""
        from opentelemetry import trace

        context = trace.set_span_in_context(trace.NonRecordingSpan(_context_of(parent))) if parent else None
        links = [trace.Link(_context_of(link))] if link else None
        return self._opened().start_span(name, context=context, links=links, start_time=began)

    def _opened(self) -> Any:
        with self._lock:
            if self._tracer is None:
                self._tracer = self._open()
        return self._tracer

    def _open(self) -> Any:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        assert self._exporter is not None
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(self._share)),
            # Cloud Trace: the project of the trace.
            resource=Resource({"service.name": self._service, "gcp.project_id": self.project}),
            shutdown_on_exit=False,
        )
        processor = BatchSpanProcessor(
            _OpenedLate(self._exporter),  # type: ignore[arg-type] # it has the methods that are called
            max_queue_size=_QUEUED,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_EXPORTED_EVERY_SECONDS * 1000,
        )
        provider.add_span_processor(processor)
        self._flushes = SimpleQueue()
        threading.Thread(target=_flush, args=(processor, self._flushes), name="spans", daemon=True).start()
        atexit.register(self.flush, seconds=_CLOSES_SECONDS)
        return provider.get_tracer("dss")

    def _caller(self, environ: Mapping[str, Any]) -> str:
        """Return the traceparent of a request; whether it is exported is our decision, not the sender's."""
        parent = traceparent_of(environ)
        if not self.exports or not parent:
            return parent
        # As TraceIdRatioBased: by the last 64 bits of the trace.
        sampled = int(parent[19:35], 16) < self._share * 2**64
        return f"{parent[:53]}{int(sampled):02x}"


def _flush(processor: Any, waiting: SimpleQueue[threading.Event]) -> None:
    # A thread of ours, because OpenTelemetry's flush knows no time-out.
    while True:
        done = waiting.get()
        processor.force_flush()
        done.set()


class _OpenedLate:
    """An exporter that the first export opens, so by the thread that exports."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._open = opened
        self._exporter: Any = None

    def export(self, spans: Any) -> Any:
        if self._exporter is None:
            self._exporter = self._open()
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        if self._exporter is not None:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        del timeout_millis
        return True


def traceparent_of(environ: Mapping[str, Any]) -> str:
    """Return the traceparent of a request, from its WSGI environment; empty if it names none."""
    if (given := environ.get("HTTP_TRACEPARENT")) and _TRACEPARENT.fullmatch(given):
        return str(given)
    if (given := environ.get("HTTP_X_CLOUD_TRACE_CONTEXT")) and (match := _CLOUD_TRACE.fullmatch(given)):
        named = f"00-{match[1].lower()}-{int(match[2]):016x}-0{match[3] or 0}"
        return named if _TRACEPARENT.fullmatch(named) else ""
    return ""


def trace_of(environ: Mapping[str, Any]) -> str:
    """Return the trace of a request, from its WSGI environment; empty if nobody names one."""
    if parent := traceparent_of(environ):
        return parent.split("-")[1]
    match = _TRACE_ALONE.fullmatch(environ.get("HTTP_X_CLOUD_TRACE_CONTEXT", ""))
    return match[1] if match else ""


def trace_fields(trace: str, project: str) -> dict[str, Any]:
    """Return the field by which Cloud Logging groups the lines of a trace; none if there is no trace."""
    return {_FIELD: f"projects/{project}/traces/{trace}"} if trace else {}


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
    """Make the work of this thread part of the trace that a document keeps, if it is the first it reads."""
    work = _current.get()
    if work and work.adopts:
        work.adopt(str((read() or {}).get("trace", "")))


def kept_trace() -> dict[str, str]:
    """Return the field with which a document keeps the trace of its writer; none if there is no trace."""
    trace = current_traceparent()
    return {"trace": trace} if trace else {}


def _context_of(traceparent: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
