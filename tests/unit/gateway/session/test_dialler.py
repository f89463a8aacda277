"""Dialling: what is tried again, for how long, and what the client is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from gateway.conversation.effects import SESSION_OVER, UpstreamProblem
from gateway.session.dialler import Dialler, UpstreamUnavailable, closed, may_redial
from gateway.sockets.interface import ConnectionClosed, HandshakeRefused

QUOTA = (
    b'{"error": {"code": "insufficient_quota", "message": "You exceeded your quota.", "type": "insufficient_quota"}}'
)


class Engine:
    """Refuses the upgrade with each of these in turn; the last one for ever."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self._outcomes: Sequence[BaseException | str] = outcomes
        self.dialled = 0

    async def connect(self, *_: Any, **__: Any) -> Any:
        outcome = self._outcomes[min(self.dialled, len(self._outcomes) - 1)]
        self.dialled += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between two tries, none of which is waited for."""
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return paused


async def dialled(engine: Engine, until: float = float("inf")) -> Any:
    return await Dialler(cast(Any, engine), "ws://x/", {}, ping_timeout=1, receive_buffer=1).dial(until)


async def refused(engine: Engine) -> UpstreamProblem:
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await dialled(engine)
    return unavailable.value.problem


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404])
async def test_a_refusal_that_stays_is_told_at_once(status: int, pauses: list[float]) -> None:
    engine = Engine(HandshakeRefused(status))
    problem = await refused(engine)
    assert (problem.code, problem.close_code, engine.dialled) == ("upstream_refused", 1000, 1)
    assert f"HTTP {status}" in problem.description
    assert pauses == []


async def test_when_no_time_is_left_the_last_refusal_is_told(pauses: list[float]) -> None:
    engine = Engine(HandshakeRefused(429, retry_after="2"))
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await dialled(engine, asyncio.get_running_loop().time() + 1)
    assert "HTTP 429" in unavailable.value.problem.description
    assert engine.dialled == 1
    assert pauses == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_refusal_that_may_pass_is_tried_again_and_then_told_with_its_status(
    status: int, pauses: list[float]
) -> None:
    engine = Engine(HandshakeRefused(status))
    problem = await refused(engine)
    assert (problem.code, problem.close_code, engine.dialled) == ("upstream_refused", 1011, 5)
    assert f"HTTP {status}" in problem.description
    assert all(pause > 0 for pause in pauses)
    assert await dialled(Engine(HandshakeRefused(status), "socket")) == "socket"


async def test_a_short_retry_after_is_waited_for_and_a_long_one_told(pauses: list[float]) -> None:
    assert await dialled(Engine(HandshakeRefused(429, retry_after="2"), "socket")) == "socket"
    assert pauses == [2.0]
    for named in ("30", "Wed, 21 Oct 2026 07:28:00 GMT"):
        problem = await refused(Engine(HandshakeRefused(503, retry_after=named)))
        assert f"HTTP 503 (Retry-After: {named})" in problem.description
        assert problem.close_code == 1011


async def test_an_exhausted_quota_is_told_by_its_name_and_is_not_worth_another_try(pauses: list[float]) -> None:
    engine = Engine(HandshakeRefused(429, body=QUOTA))
    problem = await refused(engine)
    assert (problem.code, problem.close_code, engine.dialled) == ("insufficient_quota", 1000, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": {"code": 5}}'])
async def test_an_answer_that_says_nothing_has_our_code(body: bytes, pauses: list[float]) -> None:
    assert (await refused(Engine(HandshakeRefused(404, body=body)))).code == "upstream_refused"


async def test_a_server_that_is_not_there_is_tried_until_it_is_told_to_stop() -> None:
    engine = Engine(OSError("refused"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await dialled(engine)
    assert engine.dialled > 1


# --- how a connection ended


def test_only_the_upstreams_own_words_mean_the_longest_duration() -> None:
    over = ConnectionClosed(1001, "Your session hit the maximum duration of 60 minutes.")
    assert closed(over, None) == SESSION_OVER
    early = closed(ConnectionClosed(1001, "going away"), None)
    assert (early.code, early.close_code) == ("upstream_closed", 1011)


def test_a_quota_that_is_used_up_closes_for_good() -> None:
    ended = ConnectionClosed(1000, "")
    problem = closed(ended, ("insufficient_quota", "You exceeded your quota."))
    assert (problem.code, problem.close_code) == ("insufficient_quota", 1000)
    assert not may_redial(ended, ("insufficient_quota", "x"))
    assert may_redial(ended, ("server_error", "x"))
    assert may_redial(ended, None)
    assert not may_redial(ConnectionClosed(3000, ""), None)
