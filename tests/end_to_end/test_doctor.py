"""``turngate doctor`` against a real Redis, the simulator, and what does not answer."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from websockets.asyncio.server import ServerConnection, serve

from tests.certificates import self_signed
from turngate.kernel import COMPILED
from turngate.local.ports import free_port
from turngate.local.stack import Stack
from turngate.testing.processes import start_simulator

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SECRETS = {"OPENAI_API_KEY": "sk-secret-1", "TURNGATE_API_KEYS": "secret-2", "TURNGATE_TOKEN_SECRET": "secret-3" * 8}


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    """Of a server whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    return context


async def doctor(**env: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Its exit code, its findings by check, and all that it printed."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("TURNGATE_", "OPENAI_"))}
    command = (sys.executable, "-m", "turngate.cli.app", "doctor", "--json")
    process = await asyncio.create_subprocess_exec(
        *command, env=quiet | env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, {found["check"].split(" at ")[0]: found for found in json.loads(printed)}, str(printed)


async def upstream_of(scheme: str, server: asyncio.Server, redis_url: str, engine: str) -> dict[str, Any]:
    """What is found of an upstream that cannot be used: this server."""
    code, found, _ = await doctor(
        TURNGATE_REDIS_URL=redis_url,
        TURNGATE_UPSTREAM_URL=f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime",
        TURNGATE_SOCKET_ENGINE=engine,
    )
    upstream = found["upstream"]
    assert (code, upstream["level"]) == (1, "error")
    return upstream


async def test_what_works_is_said_to_work_and_no_secret_is_said(stack: Stack) -> None:
    upstream = stack.simulator_url.replace("http", "ws") + "/v1/realtime"
    code, found, printed = await doctor(
        TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_UPSTREAM_URL=upstream, TURNGATE_GATEWAY_HOST="0.0.0.0", **_SECRETS
    )
    assert code == 0
    assert {name for name, one in found.items() if one["level"] == "error"} == set()
    assert (found["Redis"]["level"], found["upstream"]["level"], found["API keys"]["level"]) == ("ok", "ok", "ok")
    assert found["compiled kernel"]["level"] == ("ok" if COMPILED else "warning")
    assert not any(secret in printed for secret in _SECRETS.values())


async def test_what_does_not_answer_is_an_error_with_what_to_do() -> None:
    nobody = free_port()
    code, found, printed = await doctor(
        TURNGATE_REDIS_URL=f"redis://user:secret-4@127.0.0.1:{nobody}/0",
        TURNGATE_UPSTREAM_URL=f"ws://127.0.0.1:{nobody}/v1/realtime?key=secret-5",
    )
    assert code == 1
    for check in ("Redis", "upstream"):
        assert found[check]["level"] == "error"
        assert found[check]["remedy"]
    assert "secret" not in printed


async def test_each_of_several_redis_servers_is_looked_at(stack: Stack) -> None:
    simulator = stack.simulator_url.replace("http", "ws") + "/v1/realtime"
    urls = f"one={stack.redis_url} two=redis://:secret-4@127.0.0.1:{free_port()}/0"
    code, found, printed = await doctor(TURNGATE_REDIS_URLS=urls, TURNGATE_SIMULATOR_URL=simulator)
    assert code == 1
    assert [found[check]["level"] for check in ("Redis one", "Redis one version", "clock of Redis one")] == ["ok"] * 3
    assert (found["Redis two"]["level"], "TURNGATE_REDIS_URLS" in found["Redis two"]["remedy"]) == ("error", True)
    assert "secret" not in printed


async def test_a_setting_that_is_wrong_is_an_error_and_the_others_are_looked_at(stack: Stack) -> None:
    code, found, _ = await doctor(
        TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_SESSIONS_MAX="many", TURNGATE_SESSION_MAX="10"
    )
    assert code == 1
    assert "TURNGATE_SESSIONS_MAX" in found["settings of the gateway"]["found"]
    assert found["settings of the translator"]["level"] == "ok"
    assert "did you mean" in found["settings"]["found"]
    assert found["Redis"]["level"] == "ok"


async def test_the_simulator_replies_without_a_key(stack: Stack) -> None:
    simulator = stack.simulator_url.replace("http", "ws") + "/v1/realtime"
    code, found, _ = await doctor(TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_SIMULATOR_URL=simulator)
    assert code == 0
    assert (found["upstream"]["level"], "the simulator replies" in found["upstream"]["found"]) == ("ok", True)
    code, found, _ = await doctor(
        TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_SIMULATOR_URL=f"ws://127.0.0.1:{free_port()}/v1/realtime"
    )
    assert (code, found["upstream"]["level"]) == (1, "error")
    assert "turngate simulator" in found["upstream"]["remedy"]


async def test_a_key_or_a_model_that_the_upstream_refuses(redis_url: str) -> None:
    with start_simulator(api_key="sk-right", models="gpt-realtime") as simulator:
        upstream = {"TURNGATE_REDIS_URL": redis_url, "TURNGATE_UPSTREAM_URL": simulator.url}
        code, found, printed = await doctor(**upstream, OPENAI_API_KEY="sk-wrong")
        assert (code, found["upstream"]["level"]) == (1, "error")
        assert "Incorrect API key" in found["upstream"]["found"]
        assert "set OPENAI_API_KEY" in found["upstream"]["remedy"]
        assert "sk-wrong" not in printed
        code, found, _ = await doctor(**upstream, OPENAI_API_KEY="sk-right", TURNGATE_UPSTREAM_MODEL="gpt-4o")
        assert (code, found["upstream"]["level"]) == (1, "error")
        assert "TURNGATE_UPSTREAM_MODEL" in found["upstream"]["remedy"]
        code, found, _ = await doctor(**upstream, OPENAI_API_KEY="sk-right", TURNGATE_UPSTREAM_MODEL="gpt-realtime")
        assert (code, found["upstream"]["level"]) == (0, "ok")


@pytest.mark.parametrize("engine", ["picows", "websockets"])
@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "set OPENAI_API_KEY"), (403, "project"), (404, "TURNGATE_UPSTREAM_MODEL"), (429, "rate limit")],
)
async def test_an_upgrade_that_is_refused_is_explained(redis_url: str, engine: str, status: int, remedy: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        upstream = await upstream_of("ws", server, redis_url, engine)
    assert f"HTTP {status}" in upstream["found"]
    assert remedy in upstream["remedy"]


async def test_a_key_that_the_upstream_repeats_is_hidden(redis_url: str) -> None:
    async def repeat(socket: ServerConnection) -> None:
        assert socket.request is not None
        message = f"Who is {socket.request.headers['Authorization']}?"
        await socket.send(json.dumps({"type": "error", "error": {"code": "invalid_api_key", "message": message}}))
        await socket.wait_closed()

    async with serve(repeat, "127.0.0.1", 0) as server:
        (listener,) = server.sockets
        upstream = f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime"
        _, found, printed = await doctor(
            TURNGATE_REDIS_URL=redis_url, TURNGATE_UPSTREAM_URL=upstream, OPENAI_API_KEY="sk-repeated"
        )
    assert "Who is Bearer …?" in found["upstream"]["found"]
    assert "sk-repeated" not in printed


@pytest.mark.parametrize("engine", ["picows", "websockets"])
async def test_a_certificate_that_is_not_accepted_is_explained(
    redis_url: str, engine: str, own_certificate: ssl.SSLContext
) -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=own_certificate) as server:
        upstream = await upstream_of("wss", server, redis_url, engine)
    assert "certificate is not accepted" in upstream["found"]
    assert "SSL_CERT_FILE" in upstream["remedy"]


@pytest.mark.parametrize("engine", ["picows", "websockets"])
async def test_a_server_without_tls_is_explained(redis_url: str, engine: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        upstream = await upstream_of("wss", server, redis_url, engine)
    assert "TLS failed" in upstream["found"]
    assert "wss://" in upstream["remedy"]


async def test_a_redis_that_refuses_or_evicts(own_redis_url: str) -> None:
    admin: Any
    async with redis.asyncio.Redis.from_url(own_redis_url) as admin:
        await admin.config_set("maxmemory", "64mb")
        await admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            code, found, _ = await doctor(TURNGATE_REDIS_URL=own_redis_url)
        finally:
            await admin.config_set("maxmemory-policy", "noeviction")
            await admin.config_set("maxmemory", "0")
    assert (code, found["Redis memory"]["level"]) == (1, "error")
    assert "noeviction" in found["Redis memory"]["remedy"]
    assert found["clock of Redis"]["level"] == "ok"
    with_password = own_redis_url.replace("redis://", "redis://nobody:planted@")
    code, found, printed = await doctor(TURNGATE_REDIS_URL=with_password)
    assert (code, found["Redis"]["level"]) == (1, "error")
    assert "password" in found["Redis"]["found"]
    assert "planted" not in printed


async def test_an_address_that_others_reach_needs_keys(redis_url: str) -> None:
    code, found, _ = await doctor(TURNGATE_REDIS_URL=redis_url, TURNGATE_GATEWAY_HOST="0.0.0.0")
    assert (code, found["access"]["level"]) == (1, "error")
    assert "TURNGATE_API_KEYS" in found["access"]["found"]
