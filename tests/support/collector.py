"""A collector of spans: an HTTP server that takes what exporters of OTLP send."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.server_threads import in_thread
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it came; ids are in hex."""

    name: str
    trace: str
    span: str
    parent: str
    service: str


class Collector(ThreadingHTTPServer):
    """Keeps the spans that come."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[CollectedSpan] = []

    @property
    def url(self) -> str:
        """What DSS_TRACES is to be."""
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def wait_for(self, trace: str, *names: str) -> list[CollectedSpan]:
        """Return the spans of a trace once there is one of each name, and all but one have their parents."""

        def found() -> list[CollectedSpan]:
            return [span for span in list(self.spans) if span.trace == trace]

        def is_whole(spans: list[CollectedSpan]) -> bool:
            ids = {span.span for span in spans}
            roots = [span for span in spans if span.parent not in ids]
            return {span.name for span in spans} >= set(names) and len(roots) == 1

        wait_until(
            lambda: is_whole(found()),
            lambda: f"{trace} has {names}, but {found()}",
        )
        return found()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            of = {row.key: row.value.string_value for row in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [
                    CollectedSpan(
                        name=row.name,
                        trace=row.trace_id.hex(),
                        span=row.span_id.hex(),
                        parent=row.parent_span_id.hex(),
                        service=of["service.name"],
                    )
                    for row in scope.spans
                ]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector."""
    server = Collector()
    with in_thread(server):
        yield server
