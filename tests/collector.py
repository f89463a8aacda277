"""A collector of traces for tests: it takes spans by OTLP over HTTP, as a real one does, and shows them as trees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

#: How long spans may take to arrive before a test gives up.
_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Received:
    """One span as it was received."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    began_at: float
    ended_at: float
    attributes: dict[str, Any]
    #: The traces and ids of the spans that it is linked to.
    links: tuple[tuple[str, str], ...]
    #: Whether its status is an error.
    failed: bool

    @property
    def lasted(self) -> float:
        """Seconds."""
        return self.ended_at - self.began_at


class Collector:
    """The spans that were received so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Received] = []
        #: The bodies of the requests, in which nothing may be a secret.
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        self._arrived = threading.Condition()

    @property
    def env(self) -> dict[str, str]:
        """What a service is told: spans are sent at once."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def take(self, path: str, body: bytes) -> None:
        """Take a request."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._arrived:
            self.paths.add(path)
            self.bodies.append(body)
            for resource in request.resource_spans:
                service = str(_attributes(resource.resource.attributes)["service.name"])
                self.spans += [_received(service, span) for scope in resource.scope_spans for span in scope.spans]
            self._arrived.notify_all()

    async def trace(
        self, session: str, number: int, expected: list[str], shown: Callable[[list[Received]], list[str]] | None = None
    ) -> list[Received]:
        """The spans of one trace of this session, counted from 0 in the order in which they began, when its `tree`, or
        what ``shown`` makes of it, is as expected; as it is when a test's patience is over."""
        show = shown or tree
        await asyncio.to_thread(self._wait, lambda: show(self._trace(session, number)) == expected)
        return self._trace(session, number)

    async def until(self, found: Callable[[list[Received]], bool]) -> list[Received]:
        """All spans, when this is true of them, or when a test's patience is over."""
        await asyncio.to_thread(self._wait, lambda: found(self.spans))
        return list(self.spans)

    def _wait(self, found: Callable[[], bool]) -> None:
        with self._arrived:
            self._arrived.wait_for(found, _PATIENCE_SECONDS)

    def _trace(self, session: str, number: int) -> list[Received]:
        traces: dict[str, list[Received]] = {}
        for span in self.spans:
            if span.attributes.get("gen_ai.conversation.id") == session:
                traces.setdefault(span.trace, []).append(span)
        order = sorted(traces.values(), key=lambda trace: min(span.began_at for span in trace))
        return order[number] if number < len(order) else []


def tree(trace: list[Received]) -> list[str]:
    """A trace as lines, in the order of the alphabet: the service and the name of each span, indented below its parent;
    after an arrow, the names of the spans of this trace that it is linked to; after an exclamation mark, how it
    failed."""
    names = {span.id: span.name for span in trace}

    def lines(parent: str, depth: int) -> Iterator[str]:
        for span in sorted((one for one in trace if one.parent == parent), key=lambda one: (one.name, one.began_at)):
            links = "".join(f" -> {names.get(to, '(not here yet)')}" for id_, to in span.links if id_ == span.trace)
            error = f" !{span.attributes['error.type']}" if span.failed else ""
            yield f"{'  ' * depth}{span.service.removeprefix('turngate-')}: {span.name}{links}{error}"
            yield from lines(span.id, depth + 1)

    return list(lines("", 0))


@contextmanager
def collector(answer: Callable[[], int] = lambda: 200) -> Iterator[Collector]:
    """A collector on a port of its own; ``answer`` returns the status of each reply, and may wait."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    collected = Collector(f"http://127.0.0.1:{server.server_port}")
    server.collector, server.answer = collected, answer  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = server.answer()
        if status == 200:
            server.collector.take(self.path, body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def _received(service: str, span: Any) -> Received:
    return Received(
        service,
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        _attributes(span.attributes),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        span.status.code == span.status.STATUS_CODE_ERROR,
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)
