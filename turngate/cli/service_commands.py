"""The commands that run one service, in this process."""

from __future__ import annotations

from typing import Annotated

import typer

import turngate.bus.without_opentelemetry  # noqa: F401 - before the modules that use redis-py
from turngate.cli import services

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)]
Workers = Annotated[str | None, typer.Option(help="Number of processes, or auto.", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.", show_default=False)]


def gateway(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Run a gateway: it holds the WebSocket connections to clients and to the upstream."""
    services.GATEWAY.run(gateway_host=host, gateway_port=port, gateway_workers=workers)


def translator(host: Host = None, port: Port = None) -> None:
    """Run a translator: it translates clients' messages into upstream events. Any number can run."""
    services.TRANSLATOR.run(translator_host=host, translator_port=port)


def session_state(host: Host = None, port: Port = None) -> None:
    """Run a session-state process: it knows which sessions have an active response and which requests are held."""
    services.SESSION_STATE.run(session_state_host=host, session_state_port=port)


def simulator(
    host: Host = None,
    port: Port = None,
    pace: Annotated[
        float | None, typer.Option(help="1: realistic delays; 0: as fast as possible.", show_default=False)
    ] = None,
) -> None:
    """Run the simulator of the OpenAI Realtime API. It checks strictly and records all events."""
    services.SIMULATOR.run(simulator_host=host, simulator_port=port, simulator_pace=pace)
