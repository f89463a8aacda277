"""Whether a process makes traces: only if OpenTelemetry's own variables ask for it. Nothing of the library is imported
otherwise.

It is off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set, and with
``OTEL_SDK_DISABLED=true`` or ``OTEL_TRACES_EXPORTER=none``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from turngate.process.settings import SettingsError
from turngate.tracing import log_events
from turngate.tracing.spans import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: Whether words are in spans, as OpenTelemetry's instrumentations of other model clients call it.
_WORDS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_WORDS_ON = {"true", "1", "span_only", "span_and_event"}
#: The variables that choose what is sent, for which there is one answer here.
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_MISSING = (
    "traces need the packages of the extra: pip install 'turngate[otel]' (an image: --build-arg EXTRAS=otel), or unset "
    "the variable"
)


def wanted(environment: Mapping[str, str]) -> str | None:
    """The variable that asks for traces; None if none does, or another one switches them off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return None
    return next((name for name in _ENDPOINTS if environment.get(name, "").strip()), None)


def words_wanted(environment: Mapping[str, str]) -> bool:
    """Whether spans may contain prompts, transcripts and arguments."""
    return environment.get(_WORDS, "").strip().lower() in _WORDS_ON


@contextmanager
def traces(service: str, instance: str) -> Iterator[Tracer | None]:
    """The tracer of this process, which is ``instance`` of the service; None if traces are not wanted. At the end, the
    last spans are sent. Raises `SettingsError` if traces are wanted and cannot be made."""
    variable = wanted(os.environ)
    if variable is None:
        yield None
        return
    for name in _PROTOCOLS:
        if (protocol := os.environ.get(name, "").strip() or _PROTOCOL) != _PROTOCOL:
            raise SettingsError(f"{name}: traces are sent as {_PROTOCOL} only, not {protocol!r}")
    try:
        from turngate.tracing.otel import OtelTracer
    except ImportError as error:
        raise SettingsError(f"{variable}: {_MISSING} ({error})") from None
    tracer = OtelTracer(service, instance, words=words_wanted(os.environ))
    log_events.traces_on(asked_by=variable, words=tracer.words)
    try:
        yield tracer
    finally:
        tracer.close()
