"""Acknowledgements: collected, tried again, and nothing left behind when the process stops."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ResponseError
from structlog.testing import capture_logs

from turngate.bus import acknowledging, trouble
from turngate.bus.acknowledging import Acknowledger


class Server:
    """A Redis of which one script is used. It answers with the next error, if there is one."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0
        self.finished: list[tuple[str, str, list[bytes]]] = []
        #: Set: answers. Cleared: does not.
        self.answers = asyncio.Event()
        self.answers.set()

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert not transaction
        return Pipeline(self)


class Pipeline:
    """One round trip."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._calls: list[tuple[str, str, list[bytes]]] = []

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def execute_command(self, name: str, _sha: str, _keys: int, stream: str, group: str, *ids: bytes) -> None:
        assert name == "EVALSHA"
        self._calls.append((stream, group, list(ids)))

    async def execute(self, *, raise_on_error: bool) -> list[Exception | None]:
        assert not raise_on_error
        server = self._server
        server.tries += 1
        await server.answers.wait()
        if server.errors:
            return [server.errors.pop(0) for _ in self._calls]
        server.finished += self._calls
        return [None for _ in self._calls]


def acknowledger(server: Server) -> Acknowledger:
    return Acknowledger(cast(Redis, server), delay=0)


async def stopping_while_redis_is_silent() -> tuple[Server, Acknowledger, asyncio.Task[None]]:
    """A stop that waits for an acknowledgement which is on its way."""
    server = Server()
    server.answers.clear()
    one = acknowledger(server)
    one.add("events", "translators", ids(1))
    stopping = asyncio.create_task(one.stop())
    async with asyncio.timeout(10):
        while not server.tries:
            await asyncio.sleep(0)
    return server, one, stopping


def ids(count: int, start: int = 0) -> list[bytes]:
    return [b"%d-0" % number for number in range(start, start + count)]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(_: trouble.Backoff) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(trouble.Backoff, "pause", pause)


async def test_what_is_handled_in_a_short_time_is_acknowledged_together() -> None:
    server = Server()
    one = acknowledger(server)
    one.add("events", "translators", ids(2))
    one.add("releases", "translators", ids(1))
    one.add("events", "translators", ids(2, start=2))
    one.add("events", "translators", [])
    await one.stop()
    assert server.finished == [("events", "translators", ids(4)), ("releases", "translators", ids(1))]


async def test_many_are_acknowledged_in_commands_of_a_bounded_size() -> None:
    server = Server()
    one = acknowledger(server)
    one.add("events", "translators", ids(1_200))
    await one.stop()
    assert [len(found) for _, _, found in server.finished] == [512, 512, 176]


async def test_a_stop_waits_for_what_came_last() -> None:
    server, one, stopping = await stopping_while_redis_is_silent()
    one.add("events", "translators", ids(1, start=1))
    server.answers.set()
    await stopping
    assert [found for _, _, found in server.finished] == [ids(1), ids(1, start=1)]


async def test_a_stop_that_is_given_up_leaves_no_task() -> None:
    _, _, stopping = await stopping_while_redis_is_silent()
    stopping.cancel()
    await asyncio.wait([stopping])
    assert [task.get_name() for task in asyncio.all_tasks()].count("acknowledgements") == 0


async def test_an_acknowledgement_that_is_refused_is_tried_again_and_given_up_in_the_end() -> None:
    server = Server(*[OutOfMemoryError("OOM") for _ in range(2)])
    one = acknowledger(server)
    one.add("events", "translators", ids(1))
    await one.stop()
    assert server.finished == [("events", "translators", ids(1))]
    server = Server(*[OutOfMemoryError("OOM") for _ in range(100)])
    one = acknowledger(server)
    one.add("events", "translators", ids(1))
    one.add("releases", "translators", ids(1))
    await one.stop()
    assert server.tries == 2 * acknowledging._TRIES
    server.errors.clear()
    one.add("events", "translators", ids(1, start=1))
    await one.stop()
    assert server.finished == [("events", "translators", ids(1, start=1))]


async def test_an_error_that_concerns_one_stream_is_logged_and_costs_no_other_stream_anything() -> None:
    server = Server(ResponseError("NOGROUP no such group"))
    one = acknowledger(server)
    one.add("events", "translators", ids(1))
    one.add("releases", "translators", ids(1))
    with capture_logs() as logs:
        await one.stop()
    assert [line["event"] for line in logs] == ["not_acknowledged"]
    assert server.finished == [("releases", "translators", ids(1))]


async def test_what_waits_while_redis_does_not_answer_is_bounded() -> None:
    server = Server()
    server.answers.clear()
    one = acknowledger(server)
    for start in range(0, 40_000, 100):
        one.add("events", "translators", ids(100, start))
    assert sum(map(len, one._waiting.values())) == acknowledging._WAITING_MAX
    server.answers.set()
    await one.stop()
    assert sum(len(found) for _, _, found in server.finished) == acknowledging._WAITING_MAX
