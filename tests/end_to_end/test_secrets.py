"""No secret leaves a process: every way to fail is tried with planted secrets, and all output is searched for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.client import settings
from turngate.local.broker import start_broker
from turngate.local.ports import free_port
from turngate.local.stack import Stack, StackError

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: In every secret.
PLANTED = "planted7f3"
PATIENCE_SECONDS = 60
_KEYS = {"TURNGATE_OPENAI_API_KEY": f"openai-{PLANTED}", "TURNGATE_API_KEYS": f"client-{PLANTED}"}
_NOWHERE = f"127.0.0.1:{free_port()}"
_UPSTREAM = f"ws://user:{PLANTED}@{_NOWHERE}/v1/realtime?key={PLANTED}"

_ANY_PORT = {"TURNGATE_GATEWAY_PORT": "0", "TURNGATE_GATEWAY_INTERNAL_PORT": "0"}

#: Commands that fail, each with its environment.
_FAILING: Mapping[str, tuple[list[str], dict[str, str]]] = {
    "a gateway whose Redis is not there": (["gateway"], {"TURNGATE_REDIS_URL": f"redis://:{PLANTED}@{_NOWHERE}/0"}),
    "a translator whose Redis is not there": (
        ["translator"],
        {"TURNGATE_REDIS_URL": f"redis://user:{PLANTED}@{_NOWHERE}/0?password={PLANTED}"},
    ),
    "turngate run whose Redis is not there": (["run"], {"TURNGATE_REDIS_URL": f"redis://:{PLANTED}@{_NOWHERE}/0"}),
    "a Redis URL that is none": (["gateway"], {"TURNGATE_REDIS_URL": f"http://user:{PLANTED}@{_NOWHERE}"}),
    "an upstream URL that is none": (["gateway"], {"TURNGATE_UPSTREAM_URL": f"http://user:{PLANTED}@{_NOWHERE}"}),
    "a key with a space": (["gateway"], {"TURNGATE_OPENAI_API_KEY": f"sk {PLANTED}"}),
    "a list of keys with an odd one": (["gateway"], {"TURNGATE_API_KEYS": f"{PLANTED}\x01,{PLANTED} x"}),
    "a port that is none": (["gateway"], {"TURNGATE_GATEWAY_PORT": "many", **_KEYS}),
    "chat with a server that is not there": (
        ["chat", "--url", f"ws://user:{PLANTED}@{_NOWHERE}", "--api-key", f"client-{PLANTED}"],
        {},
    ),
    "sessions of a server that is not there": (["sessions", "--url", f"http://user:{PLANTED}@{_NOWHERE}"], {}),
    "the list of settings": (["config"], _KEYS),
}


@pytest.mark.parametrize("name", _FAILING)
async def test_a_command_that_fails_does_not_tell(name: str, tmp_path: Path) -> None:
    arguments, env = _FAILING[name]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "turngate.cli.app", *arguments),
        env={**os.environ, **_ANY_PORT, **env},
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    assert output, "it says something"
    assert PLANTED not in output.decode() + _written(tmp_path)


def _written(folder: Path) -> str:
    """Every file in the folder."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_a_redis_that_refuses_the_password_does_not_tell(tmp_path: Path) -> None:
    with start_broker() as broker:
        url = broker.url.replace("redis://", f"redis://:{PLANTED}@")
        with redis.Redis.from_url(broker.url) as admin:
            admin.config_set("requirepass", "another")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turngate.cli.app", "gateway"),
            env={
                **os.environ,
                "TURNGATE_GATEWAY_PORT": "0",
                "TURNGATE_GATEWAY_INTERNAL_PORT": "0",
                "TURNGATE_REDIS_URL": url,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            output, _ = await process.communicate()
        assert b"password" in output
        assert PLANTED not in output.decode()


@asynccontextmanager
async def stack(logs: Path, **env: str) -> AsyncIterator[tuple[Stack, list[str]]]:
    """A stack with planted secrets, and everything that it reports."""
    told: list[str] = []
    running = Stack(
        translators=1,
        simulator=False,
        env={**_KEYS, "TURNGATE_UPSTREAM_CONNECT_TIMEOUT_MS": "1500", **env},
        log_folder=logs,
        report=lambda name, text: told.append(f"{name} {text}"),
    )
    async with running:
        yield running, told


async def _heard(url: str, **options: Any) -> str:
    """Everything that a client is told, until its session ends."""
    heard: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async with connect(url, **options) as client:
                with contextlib.suppress(ConnectionClosed):
                    await client.send(str(settings()).replace("'", '"'))
                    while True:
                        heard.append(str(await client.recv()))
        heard.append(f"{client.close_code} {client.close_reason}")
    except InvalidStatus as refused:
        heard.append(f"{refused.response.headers} {refused.response.body!r}")
    return "\n".join(heard)


async def test_sessions_that_fail_do_not_tell(tmp_path: Path) -> None:
    """The upstream cannot be reached; keys in each place where one can be, good and bad; a task that ends."""
    killable = str(Path(__file__).parents[1] / "killable")
    async with stack(tmp_path, TURNGATE_UPSTREAM_URL=_UPSTREAM, PYTHONPATH=killable, KILL_TASK="publisher") as (
        running,
        told,
    ):
        url, key = running.gateway_url, f"client-{PLANTED}"
        heard = [
            await _heard(f"{url}/openai?token={key}"),
            await _heard(f"{url}/openai?token=wrong-{PLANTED}"),
            await _heard(f"{url}/v1/agent/converse", additional_headers={"Authorization": f"Token {key}"}),
            await _heard(f"{url}/v1/agent/converse", additional_headers={"Authorization": f"Basic wrong-{PLANTED}"}),
            await _heard(f"{url}/v1/agent/converse?token={key}"),
        ]
        assert "upstream_unreachable" in heard[0], "it was let in, and told why it ends"
        async with httpx.AsyncClient(trust_env=False) as http:
            for page in ("/health", "/ready", "/metrics", f"/openai?token={key}", f"/nowhere?token={key}"):
                for base in (running.internal_url("gateway"), url.replace("ws", "http", 1)):
                    answer = await http.get(base + page)
                    heard.append(f"{answer.headers} {answer.text}")
        gateway = running.processes["gateway-1"]
        before = gateway.pid
        assert before is not None
        os.kill(before, signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while gateway.pid in (before, None):
                await asyncio.sleep(0.05)
    output = "\n".join([*heard, *told]) + _written(tmp_path)
    assert "task_ended" in output
    assert PLANTED not in output


async def test_a_stack_that_does_not_start_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(StackError) as failed:
        async with stack(tmp_path, TURNGATE_UPSTREAM_URL=_UPSTREAM.replace("ws:", "gopher:")):
            pass
    assert PLANTED not in str(failed.value) + _written(tmp_path)
