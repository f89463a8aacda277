"""``turngate run``: runs a stack on this machine and reports in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import RedisDsn
from rich.console import Console
from rich.text import Text

from gateway.admission.keys import read_keys
from gateway.admission.token_secrets import read_tokens
from gateway.config import GatewaySettings
from session_state.config import SessionStateSettings
from translator.config import TranslatorSettings
from turngate.cli.services import unknown_settings
from turngate.local.ports import is_free
from turngate.local.stack import Stack, StackError, translators_for
from turngate.process.cores import usable_cores
from turngate.process.settings import BrokerSettings, SettingsError, load
from turngate.simulator.config import SimulatorSettings

LOG_FOLDER = Path("out/logs")
_REDIS_SECONDS = 3.0


class StackConfig:
    """The configuration of the stack from the environment. Raises `SettingsError` or `StackError`, each one line."""

    def __init__(self, env: Mapping[str, str], workers: str | None = None) -> None:
        """``workers``: the number of gateway processes, or ``auto``; None: as in the environment."""
        gateway, session_state = load(GatewaySettings, gateway_workers=workers), load(SessionStateSettings)
        self.workers = str(gateway.gateway_workers)
        load(TranslatorSettings)
        read_tokens(gateway, open_to_anybody=read_keys(gateway) is None)
        self.simulator, self.upstream = gateway.simulated, gateway.upstream
        self.ports = {
            "gateway": gateway.gateway_port,
            "gateway-internal": gateway.gateway_internal_port,
            "session-state": session_state.session_state_port,
        }
        self.gateway_host = gateway.gateway_host
        if self.simulator:
            self.ports["simulator"] = load(SimulatorSettings).simulator_port
        given = env.get("TURNGATE_REDIS_URL") or env.get("TURNGATE_REDIS_URLS")
        #: None if a broker is to be started.
        self.redis = load(BrokerSettings).servers if given else None

    def check(self) -> None:
        """Check that the ports are free and that a configured broker answers. Raises `StackError`."""
        for kind, port in self.ports.items():
            host = self.gateway_host if kind == "gateway" else "127.0.0.1"
            if port and not is_free(port, host):
                variable = f"TURNGATE_{kind.replace('-', '_').upper()}_PORT"
                raise StackError(
                    f"{variable}: port {port} on {host} is in use; stop what listens there, or set another"
                )
        # What sentinels say is checked by the services, and so is whether one of several answers.
        url = next(iter(self.redis.values())) if self.redis is not None and len(self.redis) == 1 else None
        if isinstance(url, RedisDsn):
            check_redis(str(url))


def check_redis(url: str) -> None:
    """Raise `StackError` if no Redis answers at this URL. The text contains the address, but not the password."""
    import redis  # Takes long, and is seldom needed.

    client = redis.Redis.from_url(url, socket_connect_timeout=_REDIS_SECONDS, socket_timeout=_REDIS_SECONDS, retry=None)
    with client:
        try:
            client.ping()
        except redis.RedisError as error:
            at = client.get_connection_kwargs()
            address = f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
            raise StackError(f"TURNGATE_REDIS_URL: no Redis server answers at {address}: {error}") from None


def run_stack(translators: int | None = None, workers: str | None = None) -> int:
    """Run until a signal. Returns the exit code: 0 after a signal, 2 for a wrong setting, 1 for other failures.
    ``translators``: their number; None: as many as pay off on this machine."""
    console = Console(highlight=False, soft_wrap=True)
    complaints = Console(highlight=False, soft_wrap=True, stderr=True)
    for line in unknown_settings():
        complaints.print(Text(f"turngate: {line}", "yellow"))
    try:
        config = StackConfig(os.environ, workers)
        config.check()
        return asyncio.run(_run(config, translators or translators_for(usable_cores()), console))
    except (SettingsError, StackError) as error:
        complaints.print(Text(f"turngate: {error}", "red"))
        return 2 if isinstance(error, SettingsError) else 1


async def _run(config: StackConfig, translators: int, console: Console) -> int:
    stack = Stack(
        translators=translators,
        simulator=config.simulator,
        redis_urls=None if config.redis is None else {name: str(url) for name, url in config.redis.items()},
        ports=config.ports,
        gateway_host=config.gateway_host,
        env={"TURNGATE_GATEWAY_WORKERS": config.workers},
        log_folder=LOG_FOLDER,
        console_faults=True,
        report=lambda name, text: console.print(Text.assemble((f"{name:16}", "bold"), text)),
    )
    serving = asyncio.create_task(_serve(stack, config, console))
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


async def _serve(stack: Stack, config: StackConfig, console: Console) -> None:
    """Start the stack, print the startup message, and wait. Cancel it to stop; it returns if a process is given up."""
    async with stack:
        for line in startup_message(
            stack.gateway_url, stack.session_state_url, None if config.simulator else config.upstream, _command()
        ):
            console.print(line)
        name = await stack.until_given_up()
        console.print(Text(f"turngate: {name} keeps failing; everything is stopped", "red"))


def startup_message(gateway_url: str, session_state_url: str, upstream: str | None, command: str) -> list[Text]:
    """The message after startup: the URLs, the console, the upstream (None: the simulator), and commands to try."""
    url = "" if gateway_url.endswith(":8080") else f" --url {gateway_url}"
    rows = [
        ("console", f"{session_state_url}/   talk to the agent and see the turn"),
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
    """The command for ``turngate``: its name, or its path if it is in a virtual environment that is not active."""
    beside = Path(sys.executable).with_name("turngate")
    if shutil.which("turngate") or not beside.exists():
        return "turngate"
    return os.path.relpath(beside)
