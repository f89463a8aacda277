"""Tracing in service processes: nothing of it is there unless it is asked for, and what is wrong is said."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.collector import collector
from turngate.local import layout
from turngate.local.child import Program
from turngate.local.stack import Stack

_SERVICES = ("gateway", "translator", "session-state")
#: Runs a service, and writes at its end which modules of OpenTelemetry were imported.
_RUN = """
import atexit, sys
path = sys.argv.pop(1)
atexit.register(lambda: open(path, "w").write(" ".join(m for m in sys.modules if m.startswith("opentelemetry"))))
from turngate.cli.app import main
main()
"""
_PATIENCE_SECONDS = 60


@pytest.mark.parametrize(
    ("env", "imported"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "mine"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
    ],
)
async def test_a_service_imports_opentelemetry_only_if_a_collector_is_configured(
    broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], imported: bool
) -> None:
    def service(*arguments: Any, **details: Any) -> Program:
        program = plain(*arguments, **details)
        if program.kind not in _SERVICES:
            return program
        return replace(program, command=(sys.executable, "-c", _RUN, str(tmp_path / program.kind), program.kind))

    plain = layout._service
    monkeypatch.setattr(layout, "_service", service)
    async with Stack(redis_url=broker_url, translators=1, env=env):
        pass
    found = {service: (tmp_path / service).read_text() != "" for service in _SERVICES}
    assert found == dict.fromkeys(_SERVICES, imported)


def _started(*, env: dict[str, str], without: str = "") -> subprocess.CompletedProcess[str]:
    hide = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    code = f"{hide}sys.argv = ['turngate', 'translator']; from turngate.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=_PATIENCE_SECONDS,
    )


def test_a_service_says_which_package_is_missing() -> None:
    done = _started(env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, without="opentelemetry")
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr
    assert "pip install 'turngate[otel]'" in done.stderr


def test_a_protocol_that_is_not_there_is_named() -> None:
    done = _started(env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in done.stderr
    assert "grpc" in done.stderr


def test_names_and_attributes_of_the_environment_take_precedence() -> None:
    code = (
        "from turngate.tracing.otel import OtelTracer\n"
        "tracer = OtelTracer('gateway', 'gw-1', words=False)\n"
        "tracer.start('one', 1.0).end(2.0)\n"
        "tracer.close()\n"
    )
    with collector() as collected:
        for given in ({}, {"OTEL_SERVICE_NAME": "mine"}):
            env = {**os.environ, **collected.env, **given}
            subprocess.run([sys.executable, "-c", code], env=env, timeout=_PATIENCE_SECONDS, check=True)
        assert collected.paths == {"/v1/traces"}
        assert [span.service for span in collected.spans] == ["turngate-gateway", "mine"], "sent before the end"
        assert (collected.spans[0].began_at, collected.spans[0].ended_at) == (1.0, 2.0)
