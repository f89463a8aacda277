"""The process behind `turngate.testing.processes`: ``python -m turngate.testing.serve KIND OPTIONS``.

It starts a stack or a simulator, prints a line of JSON with the addresses or an error, and stops when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from turngate.local.stack import Stack, StackError
from turngate.process.settings import ENV_PREFIX, SettingsError, load
from turngate.simulator.config import SimulatorSettings
from turngate.simulator.server import Simulator


async def _stack(options: dict[str, Any]) -> None:
    async with Stack(**options) as stack:
        simulator = None
        if options["simulator"]:
            address = stack.simulator_url
            simulator = {"url": f"{address.replace('http:', 'ws:', 1)}/v1/realtime", "http_url": address}
        _tell(
            gateway_urls=stack.gateway_urls,
            session_state_url=stack.session_state_url,
            redis_url=stack.redis_url,
            simulator=simulator,
        )
        await _input_ends()


async def _simulator(options: dict[str, Any]) -> None:
    settings = load(SimulatorSettings, simulator_port=0, **{f"simulator_{name}": one for name, one in options.items()})
    async with Simulator(settings) as simulator:
        _tell(url=simulator.url, http_url=simulator.http_url)
        await _input_ends()


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def _input_ends() -> None:
    """Wait for it without a thread: one that reads cannot be cancelled."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Ctrl-C reaches the whole process group; the process that holds our input decides when this one stops.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    number = sys.stdin.fileno()

    def read() -> None:
        if not os.read(number, 1_024):
            ended.set()

    loop.add_reader(number, read)
    await ended.wait()
    loop.remove_reader(number)


def main() -> None:
    kind, options = sys.argv[1], json.loads(sys.argv[2])
    # What this machine's user has set for a server of their own is nothing to a test.
    for name in [name for name in os.environ if name.startswith((ENV_PREFIX, "OPENAI_", "OTEL_"))]:
        del os.environ[name]
    try:
        asyncio.run(_stack(options) if kind == "stack" else _simulator(options))
    except (StackError, SettingsError) as error:
        _tell(error=str(error))


if __name__ == "__main__":
    main()
