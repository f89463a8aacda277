"""What is wrong with the server as a whole is told from what is wrong with one command, by Redis's own replies."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from turngate.bus import trouble
from turngate.bus.trouble import ONE_COMMAND, UNREACHABLE, Backoff, concerns_server, kind_of, note
from turngate.process.log_context import on_server


def replied(text: str) -> Exception:
    """What the client library makes of an error reply."""
    parser: Any = BaseParser
    error: Exception = parser.parse_error(text)
    return error


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 7f, on @user_script:28.", "OOM"),
        ("ERR Error running script (call to f_7f): @user_script:28: -OOM command not allowed", "OOM"),
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("NOPERM User default has no permissions to run the 'xadd' command", "NOPERM"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.", "MISCONF"),
        ("NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT"),
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "NOAUTH"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "MASTERDOWN"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("BUSY Redis is busy running a script.", "BUSY"),
        ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
        ("MOVED 3999 127.0.0.1:6381", "MOVED"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ONE_COMMAND),
        ("ERR user_script:54: attempt to compare number with nil script: 7f, on @user_script:54.", ONE_COMMAND),
        ("NOGROUP No such key 'a' or consumer group 'b'", ONE_COMMAND),
    ],
)
def test_the_kind_of_an_error_reply(reply: str, kind: str) -> None:
    error = replied(reply)
    assert kind_of(error) == kind
    assert concerns_server(error) == (kind != ONE_COMMAND)


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), RedisTimeoutError("late"), OSError(), TimeoutError()])
def test_a_server_that_does_not_answer_is_unreachable(error: Exception) -> None:
    assert kind_of(error) == UNREACHABLE


def test_a_defect_is_no_trouble_of_the_server() -> None:
    assert not concerns_server(ValueError("OOM"))


def test_errors_are_counted_each_time_and_logged_once_per_kind_and_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("turngate.bus.trouble.time.monotonic", lambda: now)
    monkeypatch.setattr(trouble, "_logged_at", {})
    monkeypatch.setattr(trouble, "_unlogged", {})
    before = REGISTRY.get_sample_value("turngate_redis_errors_total", {"kind": "OOM"}) or 0
    oom, misconf = replied("OOM command not allowed"), replied("MISCONF no disk")
    with capture_logs() as logs:
        for _ in range(1_000):
            note(oom, "publish")
        note(misconf, "publish")
        note(OSError("gone"), "publish")
        now += 10
        note(oom, "publish")
    assert [(line["event"], line["kind"], line["unlogged"]) for line in logs] == [
        ("redis_refuses", "OOM", 0),
        ("redis_refuses", "MISCONF", 0),
        ("redis_unreachable", UNREACHABLE, 0),
        ("redis_refuses", "OOM", 999),
    ]
    assert REGISTRY.get_sample_value("turngate_redis_errors_total", {"kind": "OOM"}) == before + 1_001


def test_a_server_in_trouble_does_not_silence_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turngate.bus.trouble.time.monotonic", lambda: 1_000.0)
    monkeypatch.setattr(trouble, "_logged_at", {})
    monkeypatch.setattr(trouble, "_unlogged", {})
    with capture_logs(processors=[merge_contextvars]) as logs:
        for server in ("one", "one", "two", None):
            with on_server(server):
                note(OSError("gone"), "publish")
    assert [line.get("server") for line in logs] == ["one", "two", None]


async def test_pauses_grow_to_a_limit_with_jitter_and_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("turngate.bus.trouble.asyncio.sleep", sleep)
    backoff = Backoff(0.1, 1)
    for _ in range(6):
        await backoff.pause()
    backoff.reset()
    await backoff.pause()
    limits = [0.1, 0.2, 0.4, 0.8, 1, 1, 0.1]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len(set(pauses)) == len(pauses)
