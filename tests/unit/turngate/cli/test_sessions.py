from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from turngate.cli.errors import MISUSED, CommandError
from turngate.cli.sessions import Admin, _sessions, table

BUSY: dict[str, Any] = {
    "session": "s-busy",
    "gateway": "gateway-1",
    "epoch": 0,
    "claimed_epoch": None,
    "version": 12,
    "slot": "active",
    "response_id": "resp_7",
    "user_speaking": True,
    "open_calls": ["call_1", "call_2"],
    "configured_seq": 2,
    "answered_seq": 3,
    "upstream_legs": 1,
    "client_legs": 1,
    "parked_since_ms": None,
    "parked_ms_ago": None,
    "heartbeat_ms_ago": 1240,
    "held": [
        {"seq": 4, "kind": "configuration", "since_ms_ago": 2150, "answers": []},
        {"seq": 5, "kind": "response", "since_ms_ago": 300, "answers": ["call_1"]},
    ],
    "release": None,
}
IDLE: dict[str, Any] = BUSY | {
    "session": "s-idle",
    "slot": "idle",
    "response_id": None,
    "user_speaking": False,
    "open_calls": [],
    "held": [],
    "release": {"id": "r", "expires_in_ms": 900},
}


@asynccontextmanager
async def admin(answers: dict[str, Any]) -> AsyncIterator[str]:
    """An HTTP server that answers each path with its JSON body."""

    def respond(connection: ServerConnection, request: Request) -> Response:
        if request.path not in answers:
            return connection.respond(HTTPStatus.NOT_FOUND, '{"error": "no such session"}')
        return connection.respond(HTTPStatus.OK, json.dumps(answers[request.path]))

    async def no_socket(connection: ServerConnection) -> None:
        raise AssertionError("only HTTP is served here")

    async with serve(no_socket, "127.0.0.1", 0, process_request=respond) as listening:
        yield f"http://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}"


def drawn(found: list[dict[str, Any]], width: int = 100) -> list[list[str]]:
    """The words of the table's lines, in a terminal of this width."""
    shown = io.StringIO()
    Console(file=shown, width=width, color_system=None).print(table(found))
    return [line.split() for line in shown.getvalue().splitlines() if line.strip()]


def test_a_row_shows_the_slot_and_the_held_requests() -> None:
    _title, _heads, _rule, *lines = drawn([BUSY, IDLE])
    assert lines == [
        ["s-busy", "active", "configuration", "#4", "for", "2.1", "s"],
        ["gateway-1,", "1.2", "s", "ago", "resp_7", "response", "#5", "for", "0.3", "s"],
        ["epoch", "0,", "upstream", "leg", "1,", "client", "leg", "1", "user", "speaking"],
        ["call", "call_1"],
        ["call", "call_2"],
        ["s-idle", "idle", "released,", "lease", "0.9", "s"],
        ["gateway-1,", "1.2", "s", "ago"],
        ["epoch", "0,", "upstream", "leg", "1,", "client", "leg", "1"],
    ]


def test_a_row_shows_who_owns_the_session_and_that_it_is_parked() -> None:
    moved = {"epoch": 1, "upstream_legs": 2, "client_legs": 3, "parked_since_ms": 1, "parked_ms_ago": 4200}
    _title, _heads, _rule, *lines = drawn([IDLE | moved | {"claimed_epoch": 2}])
    assert lines[2:] == [
        ["epoch", "1,", "upstream", "leg", "2,", "client", "leg", "3"],
        ["claimed", "by", "another", "gateway,", "epoch", "2"],
        ["parked", "for", "4.2", "s"],
    ]


def test_a_session_id_is_never_truncated() -> None:
    name = "0b1d3f5a-7c9e-4b2d-8f6a-1c3e5a7b9d0f"
    lines = drawn([BUSY | {"session": name, "response_id": "resp_" + "0" * 30}], width=80)
    assert lines[3][0] == name


def test_no_session_is_an_empty_table() -> None:
    assert table([]).row_count == 0
    assert table([]).title == "0 live sessions"


async def shown(url: str, session: str | None = None, *, as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    code = await _sessions(Admin(url), session, as_json=as_json, watch=False, console=Console(file=out, width=200))
    return code, out.getvalue()


async def test_all_sessions_are_fetched() -> None:
    pages = {
        "/sessions?limit=1000": {"sessions": [BUSY], "next": "a:s-busy", "unreachable": ["b"]},
        "/sessions?limit=1000&cursor=a%3As-busy": {"sessions": [IDLE], "unreachable": ["b"]},
    }
    async with admin(pages) as url:
        code, text = await shown(url)
    assert code == 0
    assert "Redis b does not answer: its sessions are missing" in text
    assert "2 live sessions" in text
    assert "s-busy" in text
    assert "s-idle" in text


async def test_filters_are_passed_on() -> None:
    async with admin({"/sessions?only=held&search=idle&limit=1000": {"sessions": [IDLE]}}) as url:
        query = {"only": "held", "search": "idle"}
        out = io.StringIO()
        await _sessions(Admin(url), None, query, as_json=False, watch=False, console=Console(file=out, width=200))
    assert "1 live session" in out.getvalue()


async def test_one_session_is_fetched() -> None:
    async with admin({"/sessions/s-busy": BUSY}) as url:
        _, text = await shown(url, "s-busy")
    assert "1 live session" in text


@pytest.mark.parametrize(("session", "expected"), [(None, {"sessions": [BUSY]}), ("s-busy", BUSY)])
async def test_json_is_the_servers_response(
    capsys: pytest.CaptureFixture[str], session: str | None, expected: object
) -> None:
    async with admin({"/sessions?limit=1000": {"sessions": [BUSY]}, "/sessions/s-busy": BUSY}) as url:
        await shown(url, session, as_json=True)
    assert json.loads(capsys.readouterr().out) == expected


async def test_an_unknown_session_is_reported() -> None:
    async with admin({}) as url:
        with pytest.raises(CommandError, match=r"/sessions/nobody answered HTTP 404: no such session \(--url\)"):
            await shown(url, "nobody")


async def test_a_refused_connection_is_reported(unused_port: int) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*: connection refused; is it running there\? \(--url\)"):
        await shown(f"http://127.0.0.1:{unused_port}")


async def test_a_wrong_address_names_the_option() -> None:
    with pytest.raises(CommandError, match=r"--url ws://x/sessions\?limit=…: not an HTTP address") as failure:
        await shown("ws://x")
    assert failure.value.exit_code == MISUSED
