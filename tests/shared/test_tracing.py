"""One trace follows a bundle: messages and documents name the work that made them, lines of logs too."""

from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

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


def exported(spans: InMemorySpanExporter, count: int) -> dict[str, ReadableSpan]:
    wait_until(lambda: len(spans.get_finished_spans()) >= count, "the spans are not exported")
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

    found = exported(spans, 3)
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

    span = exported(spans, 1)["sweep"]
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
    assert flags == ["01", "00"]


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


def test_work_goes_on_if_the_collector_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with Tracer("p", 1.0, _Refusing).work("sync", CALLER):
        assert current_trace() == TRACE
    wait_until(lambda: "collector is away" in caplog.text, "nobody says so")


def _settings(**values: str) -> Settings:
    required = {
        name: "x"
        for name in (
            *("GOOGLE_CLOUD_PROJECT", "DSS_GS_BUCKET", "DSS_S3_BUCKET", "DSS_GS_CHECKOUT_BUCKET"),
            *("DSS_S3_CHECKOUT_BUCKET", "OIDC_AUDIENCE"),
        )
    }
    return Settings.from_environment({**required, "OIDC_ISSUER": "https://example.org", **values})


def test_one_setting_says_where_spans_go() -> None:
    exports: Callable[..., bool] = lambda **values: open_tracer(_settings(**values)).exports  # noqa: E731
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
            _settings(**{name: wrong})
