"""Who may connect, on the real socket: the official SDK, browsers' subprotocols, and what each is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from turngate.local.stack import Stack, StackError

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The SDK imports names of its WebSocket library that are deprecated there.
sdk_uses_old_names = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

#: One with a character that no subprotocol can have, which programs can send all the same.
KEYS = ("front-door.k3y", "back/door=k3y")
WRONG = "pick-lock.k3y"
AGENT = "/v1/agent/converse"


class Locked:
    """A stack whose gateway has keys, and writes down everything that it logs."""

    def __init__(self, stack: Stack, logs: Path) -> None:
        self.url = stack.gateway_url
        self.logs = logs
        self.environment = DeepgramClientEnvironment(
            base=self.url.replace("ws:", "http:"),
            production=self.url,
            agent=self.url,
            agent_rest=self.url.replace("ws:", "http:"),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def locked(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Locked]:
    logs = tmp_path_factory.mktemp("logs")
    env = {"TURNGATE_API_KEYS": ",".join(KEYS), "TURNGATE_LOG_LEVEL": "debug"}
    database = f"{redis_url.rpartition('/')[0]}/2"
    async with Stack(redis_url=database, translators=1, pace=0, env=env, log_folder=logs) as stack:
        yield Locked(stack, logs)


async def refusal(url: str, **options: Any) -> tuple[int, str]:
    """The HTTP status and the one line that a client gets that may not connect."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, **options)
    response = refused.value.response
    body = json.loads(response.body or b"")
    assert list(body) == ["error"]
    assert "\n" not in body["error"]
    return response.status_code, body["error"]


@pytest.mark.parametrize("form", ["Token {}", "token {}", "Bearer {}", "bearer {}", "BEARER {}"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("path", [AGENT, f"{AGENT}?a=b&model=x", "/openai"])
async def test_a_header_lets_in(locked: Locked, form: str, key: str, path: str) -> None:
    """Row "agent: Upgrade"."""
    async with connect(locked.url + path, additional_headers={"Authorization": form.format(key)}) as client:
        assert json.loads(await client.recv())["type"] == "Welcome"
        assert client.subprotocol is None


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (["token", KEYS[0]], "token"),
        (["bearer", KEYS[0]], "bearer"),
        (["token", KEYS[0], "x-deepgram-session-id", "0b7c7e5e"], "token"),
        (["chat.v1", "bearer", KEYS[0], "x-deepgram-session-id", "0b7c7e5e"], "bearer"),
    ],
)
async def test_a_browsers_subprotocols_let_in_and_the_scheme_is_answered(
    locked: Locked, offer: list[str], answer: str
) -> None:
    """Row "agent: Upgrade"."""
    async with connect(locked.url + AGENT, subprotocols=[Subprotocol(name) for name in offer]) as client:
        assert client.subprotocol == answer


@pytest.mark.parametrize("comma", [",", ", "])
async def test_a_browsers_header_byte_by_byte(locked: Locked, comma: str) -> None:
    lines = [
        f"GET {AGENT} HTTP/1.1",
        f"Host: {locked.url.removeprefix('ws://')}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {comma.join(['token', KEYS[0], 'x-deepgram-session-id', '0b7c7e5e'])}",
    ]
    host, port = locked.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    writer.close()
    await writer.wait_closed()
    assert answer[0].startswith("HTTP/1.1 101")
    assert [line for line in answer if line.lower().startswith("sec-websocket-protocol")] == [
        "Sec-WebSocket-Protocol: token"
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "no key; send `Authorization: Token KEY`"),
        ({"additional_headers": {"Authorization": f"Token {WRONG}"}}, "the key is not one of this server's"),
        ({"additional_headers": {"Authorization": f"Basic {KEYS[0]}"}}, "the Authorization header cannot be read"),
        ({"subprotocols": [Subprotocol("token"), Subprotocol(WRONG)]}, "the key is not one of this server's"),
        ({"subprotocols": [Subprotocol("token")]}, "the subprotocol `token` has no key after it"),
        ({"additional_headers": {"Sec-WebSocket-Protocol": f"token, {KEYS[1]}"}}, "Sec-WebSocket-Protocol has a char"),
    ],
)
async def test_who_brings_no_good_key_is_told_before_the_upgrade(
    locked: Locked, options: dict[str, Any], why: str
) -> None:
    """Row "agent: Upgrade"."""
    status, reason = await refusal(locked.url + AGENT, **options)
    assert status == 401
    assert reason.startswith(why)


async def test_the_probes_need_no_key_and_what_is_not_there_is_still_not_there(locked: Locked) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=locked.environment.base) as http:
        answer = await http.get("/health")
        assert (answer.status_code, answer.text) == (200, "ok\n")
        for page in ("/ready", "/metrics", "/sessions"):
            assert (await http.get(page)).status_code == 404, "they have a port of their own"
        assert (await http.get("/v2/agent")).status_code == 404
        assert "WWW-Authenticate" in (await http.get(AGENT)).headers


@sdk_uses_old_names
async def test_the_official_sdk_asynchronous(locked: Locked) -> None:
    for credentials in ({"api_key": KEYS[0]}, {"api_key": "unused", "access_token": KEYS[0]}):
        sdk = AsyncDeepgramClient(**credentials, environment=locked.environment)
        async with sdk.agent.v1.connect() as agent:
            assert (await agent.recv()).type == "Welcome"
    sdk = AsyncDeepgramClient(api_key=WRONG, environment=locked.environment)
    with pytest.raises(ApiError) as refused:
        async with sdk.agent.v1.connect():
            pass
    assert refused.value.status_code == 401


@sdk_uses_old_names
async def test_the_official_sdk_synchronous(locked: Locked) -> None:
    def welcome(key: str) -> str:
        with DeepgramClient(api_key=key, environment=locked.environment).agent.v1.connect() as agent:
            return str(agent.recv().type)

    assert await asyncio.to_thread(welcome, KEYS[0]) == "Welcome"
    with pytest.raises(InvalidStatus) as refused:
        await asyncio.to_thread(welcome, WRONG)
    assert refused.value.response.status_code == 401


async def test_the_command_line_brings_its_key_and_says_where_to_give_one(locked: Locked) -> None:
    async def chat(*arguments: str, **env: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turngate.cli.app", "chat", "--url", locked.url, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env=os.environ | env,
        )
        _, said = await process.communicate(b"/quit\n")
        return process.returncode, said.decode()

    assert await chat("--api-key", KEYS[1]) == (0, "")
    assert await chat(TURNGATE_API_KEY=KEYS[0]) == (0, "")
    code, said = await chat()
    assert code == 1
    assert "HTTP 401: no key" in said
    assert "(--api-key, or TURNGATE_API_KEY)" in said


async def test_no_key_is_ever_logged(locked: Locked) -> None:
    """Also not by a library that says why it could not read a header."""
    url = locked.url + AGENT
    for key in (*KEYS, WRONG):
        for header in (
            {"Authorization": f"Token {key}"},
            {"Authorization": f"Basic {key}"},
            {"Authorization": key},
            {"Sec-WebSocket-Protocol": f"token, {key}"},
            {"Sec-WebSocket-Protocol": f'"{key}'},
            {"Authorization": f"Token {KEYS[0]}", "Sec-WebSocket-Protocol": f"token, {key}"},
        ):
            with contextlib.suppress(InvalidHandshake):
                async with connect(url, additional_headers=header):
                    pass
    logged = "".join(path.read_text() for path in locked.logs.iterdir())
    assert "client_refused" in logged
    for key in (*KEYS, WRONG):
        assert key not in logged


async def test_open_to_the_network_without_keys_it_does_not_start(own_redis_url: str) -> None:
    with pytest.raises(StackError, match="TURNGATE_API_KEYS: needed"):
        async with Stack(redis_url=own_redis_url, translators=1, pace=0, gateway_host="0.0.0.0", restarts=False):
            pass


async def test_without_keys_whatever_a_client_brings_is_good_and_its_scheme_answered(stack: Stack) -> None:
    async with connect(stack.gateway_url + AGENT) as client:
        assert client.subprotocol is None
    async with connect(stack.gateway_url + AGENT, subprotocols=[Subprotocol("token"), Subprotocol("any")]) as client:
        assert client.subprotocol == "token"
    async with connect(stack.gateway_url + AGENT, additional_headers={"Authorization": "Basic eDp5"}) as client:
        assert json.loads(await client.recv())["type"] == "Welcome"
