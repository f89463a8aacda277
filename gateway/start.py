"""Starts the gateway as the one process or the several that its settings ask for. What is not needed is not imported:
the supervisor of several serves no clients."""

from __future__ import annotations

from gateway.config import GatewaySettings
from gateway.workers.count import workers_of


def run(settings: GatewaySettings) -> None:
    """Run a gateway until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start, and exits the process with
    code 1 when it cannot go on."""
    workers = workers_of(settings.gateway_workers)
    if workers == 1:
        from gateway import app

        app.run(settings)
    else:
        from gateway.workers import supervisor

        supervisor.run(settings, workers)
