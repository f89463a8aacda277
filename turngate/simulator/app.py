"""The simulator as a process."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from turngate.process import garbage, logging
from turngate.simulator import log_events
from turngate.simulator.config import SimulatorSettings
from turngate.simulator.server import Simulator


def run(settings: SimulatorSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `turngate.process.settings.SettingsError` when it cannot listen."""
    logging.configure(settings, "simulator")
    uvloop.run(_serve(settings))


async def _serve(settings: SimulatorSettings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with Simulator(settings) as simulator:
        garbage.settle()
        log_events.simulator_started(url=simulator.url, pace=settings.simulator_pace)
        await stopping.wait()
    log_events.simulator_stopped()
