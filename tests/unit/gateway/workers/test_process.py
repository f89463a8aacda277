"""The life of a worker, with a fake process in its place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.workers import process
from gateway.workers.place import Place
from gateway.workers.process import State, Worker, WorkerGivenUpError, WorkerNotStartedError

FAKE = str(Path(__file__).with_name("fake_worker.py"))
PATIENCE_SECONDS = 30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


class Kept:
    """A worker that is kept running, and the numbers of those that ended."""

    def __init__(self, folder: Path, what: str) -> None:
        self.ended: list[int] = []
        place = Place(5, 2, "127.0.0.1", 1, str(folder / "socket"), str(folder / "starts"))
        self.worker = Worker(place, self.ended.append, (sys.executable, FAKE, what))
        self.keeping: asyncio.Task[None] | None = None

    async def start(self) -> Worker:
        await self.worker.start()
        self.keeping = asyncio.create_task(self.worker.keep())
        return self.worker

    async def gone(self) -> None:
        assert self.keeping is not None
        await asyncio.wait_for(asyncio.shield(self.keeping), PATIENCE_SECONDS)


@pytest_asyncio.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[str], Kept]]:
    """Makes workers that do not wait long."""
    monkeypatch.setattr(process, "_BACKOFF", (0.01, 0.02))
    made: list[Kept] = []

    def one(what: str) -> Kept:
        made.append(Kept(tmp_path, what))
        return made[-1]

    yield one
    for kept in made:
        kept.worker.leave(signal.SIGKILL)
        if kept.keeping is not None:
            await asyncio.wait([kept.keeping])


async def restarted(worker: Worker, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while worker.restarts < count or worker.state is not State.SERVING:
            await asyncio.sleep(0)


async def test_it_serves_after_start_and_is_gone_when_it_was_let_go(make: Callable[[str], Kept]) -> None:
    kept = make("good")
    worker = await kept.start()
    assert worker.state is State.SERVING
    assert (await worker.ask("/health", 5)).ok
    worker.leave(None)
    assert (worker.state, worker.pid is None) == (State.LEAVING, False)
    worker.leave(signal.SIGTERM)
    await kept.gone()
    assert (worker.pid, worker.restarts, kept.ended) == (None, 0, [5])


async def test_one_that_is_killed_is_started_again_and_that_is_said(make: Callable[[str], Kept]) -> None:
    kept = make("good")
    worker = await kept.start()
    pid = worker.pid
    with capture_logs() as logs:
        worker.kill()
        await restarted(worker, 1)
    assert worker.pid not in (pid, None)
    assert (await worker.ask("/health", 5)).ok
    (died,) = [line for line in logs if line["event"] == "worker_died"]
    assert (died["worker"], died["pid"], died["how"]) == (5, pid, "killed by SIGKILL")
    assert kept.ended == [5], "what it has counted is forgotten"


async def test_one_that_dies_again_and_again_is_given_up(make: Callable[[str], Kept]) -> None:
    kept = make("dies")
    with capture_logs() as logs:
        await kept.start()
        with pytest.raises(WorkerGivenUpError, match="exit 4"):
            await kept.gone()
    assert kept.worker.restarts == 2
    assert [line["event"] for line in logs][-1] == "worker_given_up"


async def test_one_that_cannot_be_started_again_is_given_up(make: Callable[[str], Kept]) -> None:
    kept = make("broken later")
    await kept.start()
    kept.worker.kill()
    with capture_logs() as logs, pytest.raises(WorkerGivenUpError, match="exit 3"):
        await kept.gone()
    assert [line["event"] for line in logs].count("worker_not_started") == 2


async def test_one_that_was_started_long_ago_may_die_as_often_as_a_new_one(
    make: Callable[[str], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STEADY_SECONDS", 0.0)
    worker = await make("good").start()
    for count in range(1, 5):
        worker.kill()
        await restarted(worker, count)


async def test_one_that_gives_no_answer_is_killed_and_started_again(
    make: Callable[[str], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(process, "_BETWEEN_LOOKS", 0.01)
    worker = await make("good").start()
    pid = worker.pid
    assert pid is not None
    with capture_logs() as logs:
        os.kill(pid, signal.SIGSTOP)
        await restarted(worker, 1)
    assert [line["pid"] for line in logs if line["event"] == "worker_stuck"] == [pid]


@pytest.mark.parametrize(
    ("what", "misused", "said"),
    [("misused", True, "TURNGATE_SOMETHING: is wrong"), ("broken", False, "it stopped while starting (exit 3)")],
)
async def test_why_it_cannot_start_is_known(what: str, misused: bool, said: str, make: Callable[[str], Kept]) -> None:
    kept = make(what)
    with pytest.raises(WorkerNotStartedError) as refused:
        await kept.start()
    assert (refused.value.misused, str(refused.value), refused.value.worker) == (misused, said, 5)
    assert kept.worker.pid is None


async def test_one_that_is_let_go_while_it_is_down_does_not_come_back(
    make: Callable[[str], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_BACKOFF", (PATIENCE_SECONDS * 10,))
    kept = make("good")
    worker = await kept.start()
    worker.kill()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while worker.state is not State.DOWN:
            await asyncio.sleep(0)
    worker.leave(signal.SIGTERM)
    await kept.gone()
    assert worker.pid is None
