"""The simulator on a real port: handshake, frames, HTTP pages, faults, and shutdown."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.unit.turngate.simulator import sdk_models
from turngate.process.settings import SettingsError
from turngate.simulator.config import SimulatorSettings
from turngate.simulator.server import Simulator

Event = dict[str, Any]
KEY = {"Authorization": "Bearer sk-test"}


def settings(**fields: Any) -> SimulatorSettings:
    return SimulatorSettings(simulator_port=0, **{"simulator_pace": 0.1, **fields})


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(settings()) as running:
        yield running


@asynccontextmanager
async def session(simulator: Simulator, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(
        f"{simulator.url}?model=gpt-realtime", additional_headers=KEY, compression=None, **options
    ) as connection:
        yield connection


async def receive(connection: ClientConnection) -> Event:
    async with asyncio.timeout(10):
        return sdk_models.validate(orjson.loads(await connection.recv()))


async def until(connection: ClientConnection, kind: str) -> Event:
    while True:
        event = await receive(connection)
        if event["type"] == kind:
            return event


async def send(connection: ClientConnection, kind: str, **fields: Any) -> None:
    await connection.send(orjson.dumps({"type": kind, **fields}), text=True)


async def talk_at_length(connection: ClientConnection) -> None:
    """Let the server send more than fits into the sockets' buffers, and read only the first event of it."""
    content = [{"type": "input_text", "text": "[say 2000 words]"}]
    await send(connection, "conversation.item.create", item={"type": "message", "role": "user", "content": content})
    await send(connection, "response.create")
    await until(connection, "response.created")


async def close_code(connection: ClientConnection) -> int | None:
    """Read until the connection ends; returns its close code, 1006 if there was no close frame."""
    try:
        async with asyncio.timeout(10):
            while True:
                await connection.recv()
    except ConnectionClosed:
        return connection.close_code


async def get(simulator: Simulator, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"{simulator.http_url}{path}")


async def test_a_conversation_and_its_record(simulator: Simulator) -> None:
    async with session(simulator) as connection:
        created = await receive(connection)
        assert created["type"] == "session.created"
        await send(connection, "session.update", session={"type": "realtime", "output_modalities": ["text"]})
        assert (await receive(connection))["type"] == "session.updated"
        content = [{"type": "input_text", "text": "Good morning"}]
        await send(connection, "conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await send(connection, "response.create", event_id="first")
        await send(connection, "response.create", event_id="second")
        refused = await until(connection, "error")
        assert refused["error"]["event_id"] == "second"
        done = await until(connection, "response.done")
        assert done["response"]["output"][0]["content"][0]["text"] == "You said: Good morning"
    record = (await get(simulator, f"/record/{created['session']['id']}")).json()
    received = [entry["event"]["type"] for entry in record["entries"] if entry["direction"] == "received"]
    assert received == ["session.update", "conversation.item.create", "response.create", "response.create"]
    times = [entry["at"] for entry in record["entries"]]
    assert times == sorted(times)
    (violation,) = record["violations"]
    assert violation["event_id"] == "second"
    assert (await get(simulator, "/record")).json()["sessions"] == [record]


async def test_the_official_sdk_as_client(simulator: Simulator) -> None:
    client = AsyncOpenAI(api_key="sk-test", websocket_base_url=simulator.url.removesuffix("/realtime"))
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Good morning"}]}
        )
        await connection.response.create()
        transcript = audio = ""
        async for event in connection:
            if event.type == "response.output_audio_transcript.delta":
                transcript += event.delta
            elif event.type == "response.output_audio.delta":
                audio += event.delta
            elif event.type == "response.done":
                break
    assert transcript == "You said: Good morning"
    assert audio
    await client.close()


async def test_the_session_continues_after_bad_frames(simulator: Simulator) -> None:
    async with session(simulator) as connection:
        await receive(connection)
        await connection.send(b"\x00\x01")
        assert (await receive(connection))["error"]["code"] == "invalid_event"
        await connection.send("nonsense")
        assert (await receive(connection))["error"]["code"] == "invalid_json"
        await send(connection, "session.update", session={"type": "realtime"})
        assert (await receive(connection))["type"] == "session.updated"


@pytest.mark.parametrize(
    ("query", "headers", "code", "closed", "reason"),
    [
        ("?model=gpt-realtime", {"Authorization": "Bearer wrong"}, "invalid_api_key", 3000, ".invalid_api_key"),
        ("?model=gpt-realtime", {}, None, 3000, ""),
        ("?model=other", KEY, "invalid_model", 4000, ".invalid_model"),
        ("", KEY, "missing_model", 4000, ".missing_model"),
        (
            "?model=gpt-realtime",
            {**KEY, "OpenAI-Beta": "realtime=v1"},
            "beta_api_shape_disabled",
            4000,
            ".beta_api_shape_disabled",
        ),
    ],
)
async def test_refused_after_the_upgrade(
    query: str, headers: dict[str, str], code: str | None, closed: int, reason: str
) -> None:
    strict = settings(simulator_api_key="sk-test", simulator_models="gpt-realtime, gpt-realtime-mini")
    async with Simulator(strict) as simulator:
        async with connect(f"{simulator.url}{query}", additional_headers=headers) as connection:
            event = await receive(connection)
            assert (event["type"], event["error"]["code"]) == ("error", code)
            assert await close_code(connection) == closed
            assert connection.close_reason == f"invalid_request_error{reason}"
        assert (await get(simulator, "/sessions")).json()["sessions"] == []


async def test_a_browsers_key() -> None:
    async with Simulator(settings(simulator_api_key="sk-test")) as simulator:
        offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.sk-test")]
        async with connect(f"{simulator.url}?model=x", subprotocols=offered) as connection:
            assert connection.subprotocol == "realtime"
            assert (await receive(connection))["type"] == "session.created"


async def test_expiry() -> None:
    async with Simulator(settings(simulator_session_seconds=0.05)) as simulator, session(simulator) as connection:
        assert await close_code(connection) == 1001
        assert "maximum duration" in (connection.close_reason or "")


async def test_the_end_of_a_session_is_recorded(simulator: Simulator) -> None:
    async with session(simulator) as connection:
        await receive(connection)
        (live,) = (await get(simulator, "/sessions")).json()["sessions"]
        assert live["ended_at"] is None
        assert (await get(simulator, "/health")).json() == {"service": "simulator", "sessions": 1}
    (ended,) = (await get(simulator, "/sessions")).json()["sessions"]
    assert ended["close_code"] == 1000


async def test_other_paths(simulator: Simulator) -> None:
    response = await get(simulator, "/nowhere")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/json")
    with pytest.raises(InvalidStatus, match="404"):
        await connect(f"{simulator.url.removesuffix('/v1/realtime')}/v2/realtime")


class TestFaults:
    async def arm(self, simulator: Simulator, fault: str) -> None:
        assert (await get(simulator, f"/faults?next={fault}")).json()["armed"] == [fault]

    async def test_http_503(self, simulator: Simulator) -> None:
        await self.arm(simulator, "http_503")
        with pytest.raises(InvalidStatus, match="503"):
            await connect(f"{simulator.url}?model=x", additional_headers=KEY)

    async def test_refuse_key(self, simulator: Simulator) -> None:
        await self.arm(simulator, "refuse_key")
        async with session(simulator) as connection:
            assert (await receive(connection))["error"]["code"] == "invalid_api_key"
            assert await close_code(connection) == 3000

    async def test_close_before_created(self, simulator: Simulator) -> None:
        await self.arm(simulator, "close_before_created")
        async with session(simulator) as connection:
            with pytest.raises(ConnectionClosed):
                await receive(connection)
            assert connection.close_code == 1011

    async def test_close_before_updated(self, simulator: Simulator) -> None:
        await self.arm(simulator, "close_before_updated")
        async with session(simulator) as connection:
            await receive(connection)
            await send(connection, "session.update", session={"type": "realtime"})
            with pytest.raises(ConnectionClosed):
                await receive(connection)
            assert connection.close_code == 1011

    @pytest.mark.parametrize(("fault", "code"), [("close_in_response", 1011), ("abort_in_response", 1006)])
    async def test_in_a_response(self, simulator: Simulator, fault: str, code: int) -> None:
        await self.arm(simulator, fault)
        async with session(simulator) as connection:
            await send(connection, "response.create")
            await until(connection, "response.output_audio_transcript.delta")
            with pytest.raises(ConnectionClosed):
                await receive(connection)
            assert connection.close_code == code

    async def test_silent(self, simulator: Simulator) -> None:
        await self.arm(simulator, "silent")
        async with session(simulator) as connection:
            await send(connection, "session.update", session={"type": "realtime"})
            await (await connection.ping())
            await connection.close()
            assert [frame async for frame in connection] == []

    async def test_silent_after_created(self, simulator: Simulator) -> None:
        await self.arm(simulator, "silent_after_created")
        async with session(simulator) as connection:
            await send(connection, "session.update", session={"type": "realtime"})
            assert (await receive(connection))["type"] == "session.created"
            await (await connection.ping())
            await connection.close()
            assert [frame async for frame in connection] == []

    @pytest.mark.parametrize(
        ("fault", "kind", "fields"),
        [
            ("error_update", "session.update", {"session": {"type": "realtime"}}),
            ("error_create", "response.create", {}),
        ],
    )
    async def test_one_error(self, simulator: Simulator, fault: str, kind: str, fields: Event) -> None:
        await self.arm(simulator, fault)
        async with session(simulator) as connection:
            await receive(connection)
            await connection.send("nonsense")
            assert (await receive(connection))["error"]["code"] == "invalid_json"
            await send(connection, kind, event_id="mine", **fields)
            refused = (await receive(connection))["error"]
            assert (refused["code"], refused["event_id"]) == ("server_error", "mine")
            await send(connection, kind, **fields)
            assert (await receive(connection))["type"] in ("session.updated", "response.created")

    async def test_only_the_next_connection_is_affected(self, simulator: Simulator) -> None:
        await self.arm(simulator, "close_before_created")
        async with session(simulator) as first, session(simulator) as second:
            assert await close_code(first) == 1011
            assert (await receive(second))["type"] == "session.created"


async def test_many_at_once(simulator: Simulator) -> None:
    async def converse() -> str:
        async with session(simulator) as connection:
            await send(connection, "response.create")
            done = await until(connection, "response.done")
            return str(done["response"]["status"])

    assert await asyncio.gather(*(converse() for _ in range(50))) == ["completed"] * 50


async def test_a_client_that_does_not_read_blocks_nobody_else(simulator: Simulator) -> None:
    async with session(simulator, max_queue=1, close_timeout=0.1) as deaf, session(simulator) as other:
        await talk_at_length(deaf)
        await send(other, "response.create")
        assert (await until(other, "response.done"))["response"]["status"] == "completed"


async def test_stopping_closes_every_connection_with_1001() -> None:
    simulator = Simulator(settings())
    await simulator.start()
    async with session(simulator) as connection:
        await receive(connection)
        await simulator.stop()
        assert await close_code(connection) == 1001


async def test_stopping_does_not_wait_for_a_client_that_does_not_read() -> None:
    simulator = Simulator(settings(simulator_pace=0))
    await simulator.start()
    async with session(simulator, max_queue=1, close_timeout=0.1) as deaf:
        await talk_at_length(deaf)
        # Far longer than it takes, and less than it takes to notice by missing pongs.
        async with asyncio.timeout(15):
            await simulator.stop()


async def test_a_taken_port_is_one_line_that_names_the_setting(simulator: Simulator) -> None:
    with pytest.raises(SettingsError) as caught:
        await Simulator(SimulatorSettings(simulator_port=simulator.port)).start()
    text = str(caught.value)
    assert text.startswith("TURNGATE_SIMULATOR_PORT: ")
    assert str(simulator.port) in text
    assert "\n" not in text


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(SettingsError, match="TURNGATE_SIMULATOR_HOST"):
        await Simulator(settings(simulator_host="192.0.2.1")).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    program = (
        "from turngate.simulator.app import run; from turngate.simulator.config import SimulatorSettings as S; run(S())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env={**os.environ, "TURNGATE_SIMULATOR_PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            assert b"simulator_started" in await process.stderr.readline()
            url = f"ws://127.0.0.1:{port}/v1/realtime?model=x"
            async with connect(url, additional_headers=KEY) as connection:
                await receive(connection)
                process.send_signal(number)
                assert await close_code(connection) == 1001
            assert b"stopped" in await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
