"""Who may look at sessions."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from session_state.admin_key import AdminKey
from session_state.config import SessionStateSettings
from turngate.process.settings import SettingsError, load

KEY = "correct-horse-battery"


async def page(_: Request) -> Response:
    return PlainTextResponse("seen")


def client(key: str | None, peer: str = "127.0.0.1", host: str = "127.0.0.1:8082") -> TestClient:
    guard = AdminKey(None if key is None else SecretStr(key)).guard
    return TestClient(Starlette(routes=[Route("/", guard(page))]), base_url=f"http://{host}", client=(peer, 5))


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8082", "localhost:8082", "[::1]:8082", "console.localhost"])
def test_without_a_key_this_machine_may(peer: str, host: str) -> None:
    assert client(None, peer, host).get("/").text == "seen"


@pytest.mark.parametrize(
    ("peer", "host"),
    [("10.0.0.7", "127.0.0.1:8082"), ("::ffff:10.0.0.7", "localhost"), ("127.0.0.1", "rebound.example:8082")],
)
def test_without_a_key_nobody_else_may(peer: str, host: str) -> None:
    answer = client(None, peer, host).get("/")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "set TURNGATE_ADMIN_KEY" in answer.json()["error"]


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.7"])
def test_with_a_key_it_is_needed_from_everywhere(peer: str) -> None:
    known = client(KEY, peer, "console.example")
    assert known.get("/", headers={"Authorization": f"Bearer {KEY}"}).text == "seen"
    assert known.get("/", headers={"Authorization": f"bearer  {KEY} "}).text == "seen"
    for headers in ({}, {"Authorization": f"Basic {KEY}"}, {"Authorization": KEY}):
        answer = known.get("/", headers=headers)
        assert (answer.status_code, "TURNGATE_ADMIN_KEY" in answer.json()["error"]) == (401, True)
    for wrong in (KEY[:-1], KEY + "x", "", "clé"):
        answer = known.get("/", headers=[(b"Authorization", f"Bearer {wrong}".encode())])
        assert (answer.status_code, answer.json()["error"]) == (401, "this is not the admin key")


@pytest.mark.parametrize("key", ["short", "a" * 15, "sixteen and more characters", "é" * 20])
def test_a_key_that_can_be_guessed_or_sent_by_nobody_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(SessionStateSettings, admin_key=key)
    assert str(refused.value) == "TURNGATE_ADMIN_KEY: at least 16 ASCII characters, without spaces"


def test_any_other_key_is_taken() -> None:
    assert load(SessionStateSettings, admin_key="a" * 16).admin_key == SecretStr("a" * 16)
