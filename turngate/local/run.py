"""``turngate run``: the whole stack on this machine, told to a person in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import redis
from rich.console import Console
from rich.text import Text

from gateway.admission.keys import read_keys
from gateway.config import GatewaySettings
from session_state.config import SessionStateSettings
from translator.config import TranslatorSettings
from turngate.local.ports import is_free
from turngate.local.stack import Stack, StackError
from turngate.process.settings import BrokerSettings, SettingsError, load
from turngate.simulator.config import SimulatorSettings

LOG_FOLDER = Path("out/logs")
_REDIS_SECONDS = 3.0


class Launch:
    """The decisions that come before anything starts. Raises `SettingsError` or `StackError`, each one line."""

    def __init__(self, env: Mapping[str, str]) -> None:
        gateway, session_state = load(GatewaySettings), load(SessionStateSettings)
        load(TranslatorSettings)
        read_keys(gateway)
        self.simulator, self.upstream = gateway.simulated, gateway.upstream
        self.ports = {"gateway": gateway.gateway_port, "session-state": session_state.session_state_port}
        self.gateway_host = gateway.gateway_host
        if self.simulator:
            self.ports["simulator"] = load(SimulatorSettings).simulator_port
        self.redis_url = str(load(BrokerSettings).redis_url) if env.get("TURNGATE_REDIS_URL") else None

    def check(self) -> None:
        """Look whether the ports are free and the named broker answers. Raises `StackError`."""
        for kind, port in self.ports.items():
            host = self.gateway_host if kind == "gateway" else "127.0.0.1"
            if port and not is_free(port, host):
                variable = f"TURNGATE_{kind.replace('-', '_').upper()}_PORT"
                raise StackError(
                    f"{variable}: port {port} on {host} is in use; stop what listens there, or set another"
                )
        if self.redis_url is not None:
            check_redis(self.redis_url)


def check_redis(url: str) -> None:
    """Raises `StackError` when no Redis answers there; the text has the address, never the password."""
    client = redis.Redis.from_url(url, socket_connect_timeout=_REDIS_SECONDS, socket_timeout=_REDIS_SECONDS, retry=None)
    with client:
        try:
            client.ping()
        except redis.RedisError as error:
            at = client.get_connection_kwargs()
            address = f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
            raise StackError(f"TURNGATE_REDIS_URL: no Redis server answers at {address}: {error}") from None


def run_stack(translators: int) -> int:
    """Run until a signal. Returns the exit code: 0 after an orderly stop, 2 for a wrong setting, 1 for another end."""
    console = Console(highlight=False, soft_wrap=True)
    complaints = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        launch = Launch(os.environ)
        launch.check()
        return asyncio.run(_run(launch, translators, console))
    except (SettingsError, StackError) as error:
        complaints.print(Text(f"turngate: {error}", "red"))
        return 2 if isinstance(error, SettingsError) else 1


async def _run(launch: Launch, translators: int, console: Console) -> int:
    stack = Stack(
        translators=translators,
        simulator=launch.simulator,
        redis_url=launch.redis_url,
        ports=launch.ports,
        gateway_host=launch.gateway_host,
        log_folder=LOG_FOLDER,
        report=lambda name, text: console.print(Text.assemble((f"{name:16}", "bold"), text)),
    )
    serving = asyncio.create_task(_serve(stack, launch, console))
    asked_to_stop = asyncio.Event()

    def on_signal() -> None:
        if asked_to_stop.is_set():
            stack.kill()
            return
        asked_to_stop.set()
        console.print("stopping; Ctrl-C again: at once")
        serving.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    if not asked_to_stop.is_set():
        return 1
    console.print("stopped")
    return 0


async def _serve(stack: Stack, launch: Launch, console: Console) -> None:
    """Start, tell, and wait. Cancel it to stop; it returns by itself only when some process is given up."""
    async with stack:
        for line in welcome(stack.gateway_url, None if launch.simulator else launch.upstream, _command()):
            console.print(line)
        name = await stack.until_given_up()
        console.print(Text(f"turngate: {name} keeps failing; everything is stopped", "red"))


def welcome(gateway_url: str, upstream: str | None, command: str) -> list[Text]:
    """What a person needs now: where to connect, who answers (``upstream``; None: the simulator), what to try."""
    url = "" if gateway_url.endswith(":8080") else f" --url {gateway_url}"
    rows = [
        ("connect", f"{gateway_url}/v1/agent/converse   Deepgram Voice Agent clients"),
        ("", f"{gateway_url}/openai              the voice component; Settings may be repeated"),
        ("upstream", upstream or "no OPENAI_API_KEY: replies come from the simulator"),
        ("try", f"{command} chat{url}"),
        ("", f"{command} talk turngate/cli/demo/hello-16k.wav{url}"),
        ("", f"{command} sessions --watch"),
        ("", "make demo"),
        ("logs", f"{LOG_FOLDER}/"),
    ]
    return [Text(), *(Text.assemble((f"{head:10}", "bold"), text) for head, text in rows), Text()]


def _command() -> str:
    """How one types ``turngate`` here: by its name, or by its path in a virtual environment that is not active."""
    beside = Path(sys.executable).with_name("turngate")
    if shutil.which("turngate") or not beside.exists():
        return "turngate"
    return os.path.relpath(beside)
