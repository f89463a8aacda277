"""Spans made by OpenTelemetry's SDK, and sent by OTLP over HTTP. The only module that uses OpenTelemetry; it is
imported if traces are wanted (`turngate.tracing.setup`).

A thread sends what has ended, in batches. While the collector is away or slow, at most ``OTEL_BSP_MAX_QUEUE_SIZE``
spans wait, and the oldest are dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation import set_span_in_context

from turngate.tracing.spans import NOT_SAMPLED, Attributes, Kind, Span, is_traceparent

#: Seconds that the process waits at its end until the last spans are sent.
_CLOSE_SECONDS = 2.0
_NANOSECONDS = 1_000_000_000
_KINDS = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.CLIENT: SpanKind.CLIENT, Kind.CONSUMER: SpanKind.CONSUMER}


class OtelTracer:
    """The spans of one process (`turngate.tracing.spans.Tracer`). Call `close` at its end."""

    def __init__(self, service: str, instance: str, *, words: bool, exporter: SpanExporter | None = None) -> None:
        """``instance`` names this process of the service. ``exporter``: what sends spans, if not OTLP as the
        environment says."""
        self.words = words
        # The sampler is that of the environment.
        self._provider = TracerProvider(resource=_resource(service, instance), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("turngate", version("turngate"))

    def start(
        self,
        name: str,
        at: float,
        *,
        parent: str | None = None,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[str] = (),
    ) -> Span:
        """Begin a span (`turngate.tracing.spans.Tracer`)."""
        if parent == "":
            return NOT_SAMPLED
        above = None if parent is None else _context(parent)
        span = self._tracer.start_span(
            name,
            # An empty one otherwise, so that nothing of the task's context counts.
            Context() if above is None else set_span_in_context(NonRecordingSpan(above)),
            _KINDS[kind],
            dict(attributes or {}),
            [trace.Link(context) for link in links if (context := _context(link)) is not None],
            int(at * _NANOSECONDS),
        )
        return _OtelSpan(span) if span.is_recording() else NOT_SAMPLED

    def close(self) -> None:
        """Send what has ended, for a limited time; what ends from now on is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


class _OtelSpan:
    __slots__ = ("_span", "traceparent")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def link(self, traceparent: str) -> None:
        context = _context(traceparent)
        if context is not None:
            self._span.add_link(context)

    def end(self, at: float, error: str = "") -> None:
        if error and self._span.is_recording():
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR, error))
        if self._span.is_recording():
            self._span.end(int(at * _NANOSECONDS))


def _context(traceparent: str) -> SpanContext | None:
    """The span with this name, as one of another process; None if it is none."""
    if not is_traceparent(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _resource(service: str, instance: str) -> Resource:
    """What the spans are of. ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` take precedence."""
    own = {
        "service.name": f"turngate-{service}",
        "service.namespace": "turngate",
        "service.instance.id": instance,
        "service.version": version("turngate"),
    }
    given = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in own.items() if name not in given})
