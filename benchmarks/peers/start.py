"""Starts the peers that can be measured here."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from benchmarks.environment import Environment, Subject, listening
from turngate.local.child import ChildError
from turngate.local.ports import free_port

#: The names of the peers. The last two are measured with a plain upstream.
PICOWS, LITELLM = "relay on picows", "LiteLLM's proxy"
LIMIT, LITELLM_PLAIN = "relay of TCP in C", "LiteLLM's proxy, plain"
#: Made by `make bench PEERS=1`.
_LITELLM = Path(sys.prefix) / "peers" / "bin" / "litellm"
_SOURCE = Path(__file__).parent / "tcp_relay.c"
#: The models of LiteLLM's proxy.
_MODEL, _MODEL_PLAIN = "benchmark", "benchmark-plain"


@asynccontextmanager
async def peers(on: Environment) -> AsyncIterator[tuple[list[Subject], dict[str, str]]]:
    """Start all peers that can be started here; yields them, and why others are missing, by name."""
    found: list[Subject] = []
    missing: dict[str, str] = {}
    async with AsyncExitStack() as running:
        found.append(await running.enter_async_context(_picows_relay(on)))
        if _LITELLM.exists():
            try:
                found += await running.enter_async_context(_litellm(on))
            except ChildError as error:
                missing[LITELLM] = str(error)
        else:
            missing[LITELLM] = "`make bench PEERS=1` installs it"
        if (compiler := shutil.which("gcc")) is not None:
            found.append(await running.enter_async_context(_tcp_relay(on, compiler)))
        else:
            missing[LIMIT] = "there is no gcc"
        yield found, missing


@asynccontextmanager
async def _picows_relay(on: Environment) -> AsyncIterator[Subject]:
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.peers.picows_relay", str(port), on.generator.tls_url)
    async with listening("picows", command, port, on.cores, on.trust) as pid:
        yield Subject(PICOWS, f"ws://127.0.0.1:{port}", {"picows": pid})


@asynccontextmanager
async def _tcp_relay(on: Environment, compiler: str) -> AsyncIterator[Subject]:
    """Raises RuntimeError if it cannot be compiled."""
    program = on.folder / "tcp_relay"
    compiling = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", str(program), str(_SOURCE))
    if await compiling.wait():
        raise RuntimeError(f"{_SOURCE} does not compile")
    port, upstream_port = free_port(), urlsplit(on.generator.url).port
    command = (str(program), str(port), str(upstream_port))
    async with listening("limit", command, port, on.cores) as pid:
        yield Subject(LIMIT, f"ws://127.0.0.1:{port}", {"limit": pid})


@asynccontextmanager
async def _litellm(on: Environment) -> AsyncIterator[list[Subject]]:
    """LiteLLM's proxy with one worker, as by default, and a model for each of the upstream's two ports."""
    port = free_port()
    models = {_MODEL: on.generator.tls_url, _MODEL_PLAIN: on.generator.url}
    configuration = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {"model": "openai/gpt-realtime-2.1", "api_base": url, "api_key": "benchmark"},
            }
            for name, url in models.items()
        ],
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    file = on.folder / "litellm.yaml"
    # JSON is YAML.
    file.write_bytes(orjson.dumps(configuration))
    # Without it the proxy downloads a list of prices when it starts.
    quiet = ("/usr/bin/env", "LITELLM_LOCAL_MODEL_COST_MAP=True")
    command = (*quiet, str(_LITELLM), "--config", str(file), "--host", "127.0.0.1", "--port", str(port))
    async with listening("litellm", command, port, on.cores, on.trust, shows_warnings=False) as pid:
        yield [
            Subject(name, f"ws://127.0.0.1:{port}/v1/realtime?model={model}", {"litellm": pid}, 24_000, realtime=True)
            for name, model in ((LITELLM, _MODEL), (LITELLM_PLAIN, _MODEL_PLAIN))
        ]
