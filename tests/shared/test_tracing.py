"""One trace follows a bundle: messages and documents name the work that made them, lines of logs too."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Request
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from functions.runtime import traced
from shared.config import Settings
from shared.deadlines import inherited
from shared.parallel import map_in_threads
from shared.tracing import (
    Tracer,
    adopt_kept,
    current_fields,
    current_trace,
    current_traceparent,
    kept_trace,
    traceparent_of,
)
from shared.wiring import open_tracer
from tests.support.collector import collector
from tests.support.waiting import wait_until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'9' * 32}-{'8' * 16}-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Tracer:
    return Tracer("p", 1.0, lambda: spans)


@pytest.fixture(autouse=True)
def no_work() -> Iterator[None]:
    with Tracer().work("test"):
        yield


def exported(spans: InMemorySpanExporter, tracer: Tracer) -> dict[str, ReadableSpan]:
    tracer.flush(seconds=10)
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_put_its_replication_and_its_delivery_are_one_trace(
    tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    with tracer.work("put"):
        head, root = kept_trace(), current_traceparent()
    # GCS tells of the object, by a request that has a trace of its own.
    with tracer.work("sync", OTHER, adopts=True):
        adopt_kept(lambda: head)
        # A second document is not what the work is about.
        adopt_kept(lambda: {"trace": CALLER})
        message = current_traceparent()
    with tracer.work("deliver", message):
        adopt_kept(lambda: {"trace": CALLER})

    found = exported(spans, tracer)
    put, sync, deliver = (found[name] for name in ("put", "sync", "deliver"))
    assert len({span.context.trace_id for span in found.values()}) == 1
    assert f"{put.context.span_id:016x}" in root
    assert sync.parent is not None and sync.parent.span_id == put.context.span_id
    assert [f"{link.context.trace_id:032x}" for link in sync.links] == ["9" * 32]
    assert deliver.parent is not None and deliver.parent.span_id == sync.context.span_id


def test_work_without_a_trace_begins_one_and_work_that_fails_says_so(
    tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(LookupError), tracer.work("sweep", "nonsense"):
        raise LookupError

    span = exported(spans, tracer)["sweep"]
    assert span.parent is None
    assert span.status.description == "LookupError"


def test_lines_of_the_log_have_the_trace_even_if_nothing_is_exported(tracer: Tracer) -> None:
    trace = {"logging.googleapis.com/trace": f"projects/p/traces/{TRACE}"}
    with Tracer("p").work("sync", CALLER):
        assert current_fields() == trace
        assert kept_trace() == {"trace": CALLER}
    with tracer.work("sync", CALLER):
        own = current_traceparent()
        assert current_fields() == {
            **trace,
            "logging.googleapis.com/spanId": own.split("-")[2],
            "logging.googleapis.com/trace_sampled": True,
        }
        assert SPAN not in own
    # Google's header without a span.
    with Tracer("p").work("sync", environ={"HTTP_X_CLOUD_TRACE_CONTEXT": TRACE}):
        assert (current_fields(), current_trace(), kept_trace()) == (trace, TRACE, {})
    with Tracer("p").work("sync"):
        assert (current_fields(), kept_trace(), current_trace()) == ({}, {}, "")


def test_threads_of_some_work_are_part_of_it(tracer: Tracer) -> None:
    with tracer.work("index", CALLER):
        own = current_traceparent()
        found = list(map_in_threads(lambda _: current_traceparent(), range(20), threads=4))
        later = inherited(current_traceparent)
    assert set(found) == {own}
    assert later() == own
    assert current_traceparent() == ""


def test_a_caller_does_not_decide_whether_a_trace_is_exported() -> None:
    low, high = f"00-{'1' * 16}{'0' * 15}1-{SPAN}-00", f"00-{'1' * 16}{'f' * 16}-{SPAN}-01"
    tracer = Tracer("p", 0.5, InMemorySpanExporter)
    flags = []
    for given in (low, high):
        work = tracer.start("GET", {"HTTP_TRACEPARENT": given})
        flags.append(work.traceparent()[-2:])
        assert work.trace == given[3:35]
        work.end()
    for given in (low, high):
        with tracer.work("sync", environ={"HTTP_TRACEPARENT": given}) as work:
            flags.append(work.traceparent()[-2:])
        assert work.exported == (given == low)
    # Messages are of our own.
    with tracer.work("sync", low, environ={"HTTP_TRACEPARENT": low}) as work:
        flags.append(work.traceparent()[-2:])
    assert flags == ["01", "00", "01", "00", "00"]


def test_only_the_first_document_that_work_reads_is_what_it_is_about(
    tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    # Administrative runs keep no trace; then come heads, of any number of traces.
    with tracer.work("administer", adopts=True):
        adopt_kept(dict)
        adopt_kept(lambda: {"trace": CALLER})

    assert exported(spans, tracer)["administer"].parent is None


@pytest.mark.parametrize(
    ("header", "value", "found"),
    [
        ("HTTP_TRACEPARENT", CALLER, CALLER),
        ("HTTP_TRACEPARENT", CALLER.upper(), ""),
        ("HTTP_TRACEPARENT", f"00-{'0' * 32}-{SPAN}-01", ""),
        ("HTTP_TRACEPARENT", f"{CALLER}\n", ""),
        ("HTTP_X_CLOUD_TRACE_CONTEXT", f"{TRACE}/{int(SPAN, 16)};o=1", CALLER),
        ("HTTP_X_CLOUD_TRACE_CONTEXT", f"{TRACE}/{int(SPAN, 16)}", f"{CALLER[:-2]}00"),
        ("HTTP_X_CLOUD_TRACE_CONTEXT", f"{TRACE}/0;o=1", ""),
        ("HTTP_X_CLOUD_TRACE_CONTEXT", f"{TRACE}/99999999999999999999;o=1", ""),
    ],
)
def test_requests_name_their_trace_as_google_or_w3c_do(header: str, value: str, found: str) -> None:
    assert traceparent_of({header: value}) == found


class _Refusing(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        raise OSError("the collector is away")


class _Slow(InMemorySpanExporter):
    """Takes nothing before it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.goes_on.wait(60)
        return super().export(spans)


@pytest.mark.parametrize("opened", [_Refusing(), OSError("no credentials")])
def test_work_goes_on_if_nothing_can_be_exported(opened: SpanExporter | Exception) -> None:
    tried: list[str] = []

    def exporter() -> SpanExporter:
        tried.append(threading.current_thread().name)
        if isinstance(opened, Exception):
            raise opened
        return opened

    tracer = Tracer("p", 1.0, exporter)
    for _ in range(2):
        with tracer.work("sync", CALLER):
            assert current_trace() == TRACE
        tracer.flush(seconds=10)
    # What can't be opened is tried again, and never by who works.
    assert len(tried) == (2 if isinstance(opened, Exception) else 1)
    assert threading.current_thread().name not in tried


def test_nobody_waits_for_long_for_a_slow_collector_and_what_waits_is_bounded() -> None:
    spans = _Slow()
    tracer = Tracer("p", 1.0, lambda: spans)
    with tracer.work("first"):
        pass
    began = time.monotonic()
    tracer.flush(seconds=0.1)
    assert time.monotonic() - began >= 0.1
    # After that one, nobody waits at all.
    began = time.monotonic()
    tracer.flush(seconds=20)
    for _ in range(4000):
        with tracer.work("more"):
            pass
    assert time.monotonic() - began < 10
    spans.goes_on.set()
    wait_until(lambda: len(spans.get_finished_spans()) >= 2048, "what has waited is not exported")
    # The queue, and what was under way.
    assert len(spans.get_finished_spans()) <= 2048 + 512


def test_a_function_exports_its_span_before_it_answers(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    dss: Any = SimpleNamespace(tracer=tracer)
    request = Request({"HTTP_TRACEPARENT": CALLER})
    with pytest.raises(LookupError), traced(dss, request, "sync"):
        raise LookupError
    assert [span.name for span in spans.get_finished_spans()] == ["sync"]


def test_who_exports_nothing_does_not_import_what_exports() -> None:
    code = (
        "import sys; import run.api.app, functions.push, functions.steps, shared.wiring;"
        "from shared.tracing import Tracer, current_traceparent\n"
        "with Tracer().work('sync'): current_traceparent()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_process_that_ends_exports_what_is_left_to_the_collector_of_the_setting() -> None:
    code = (
        "import sys; from shared.wiring import open_tracer;"
        "from tests.shared.test_tracing import settings_of\n"
        "with open_tracer(settings_of(DSS_TRACES=sys.argv[1])).work('sync'): pass"
    )
    with collector() as running:
        subprocess.run([sys.executable, "-c", code, running.url], check=True, timeout=60)
        assert [span.name for span in running.spans] == ["sync"]


def settings_of(**values: str) -> Settings:
    required = {
        name: "x"
        for name in (
            *("GOOGLE_CLOUD_PROJECT", "DSS_GS_BUCKET", "DSS_S3_BUCKET", "DSS_GS_CHECKOUT_BUCKET"),
            *("DSS_S3_CHECKOUT_BUCKET", "OIDC_AUDIENCE"),
        )
    }
    return Settings.from_environment({**required, "OIDC_ISSUER": "https://example.org", **values})


def test_the_spans_of_a_process_have_the_name_of_its_setting() -> None:
    with collector() as running:
        settings = settings_of(DSS_TRACES=running.url, OTEL_SERVICE_NAME="dss-sync")
        tracer = open_tracer(settings)
        with tracer.work("sync"):
            pass
        tracer.flush(seconds=10)
        assert [(span.name, span.service) for span in running.spans] == [("sync", "dss-sync")]


def test_one_setting_says_where_spans_go() -> None:
    exports: Callable[..., bool] = lambda **values: open_tracer(settings_of(**values)).exports  # noqa: E731
    assert not exports()
    assert exports(DSS_TRACES="cloud")
    assert exports(DSS_TRACES="http://localhost:4318/v1/traces")
    assert not exports(DSS_TRACES="cloud", DSS_TRACE_PERCENT="0")
    for name, wrong in (
        ("DSS_TRACES", "http://example.org"),
        ("DSS_TRACE_PERCENT", "101"),
        ("DSS_DEBUG", "3"),
    ):
        with pytest.raises(ValueError, match=name):
            settings_of(**{name: wrong})
