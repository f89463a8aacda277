"""A supervised task that ends is noticed, however it ends; tasks that end while the process stops are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from turngate.process.supervisor import TASK_ENDED, Supervisor, run_supervised

FOREVER = 3_600


async def forever() -> None:
    await asyncio.sleep(FOREVER)


async def returns() -> None:
    """End at once."""


async def raises() -> None:
    raise ValueError("a defect")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("work", "how", "error"),
    [(returns, "returned", None), (raises, "raised", "ValueError: a defect"), (is_cancelled, "was cancelled", None)],
)
async def test_a_task_that_ends_is_logged_and_ends_the_process(
    work: Callable[[], Coroutine[Any, Any, None]], how: str, error: str | None
) -> None:
    supervisor = Supervisor()
    supervisor.start("other", forever)
    assert supervisor.healthy
    with capture_logs() as logs:
        supervisor.start("sweeper", work)
        await supervisor.wait()
    assert not supervisor.healthy
    assert supervisor.ended == "sweeper"
    (line,) = logs
    assert (line["event"], line["task"], line["how"], line["error"]) == ("task_ended", "sweeper", how, error)
    await supervisor.end()


async def test_tasks_may_end_while_the_process_stops() -> None:
    supervisor = Supervisor()
    go_on = asyncio.Event()

    async def until_told() -> None:
        await go_on.wait()

    task = supervisor.start("http", until_told)
    supervisor.start("sweeper", forever)
    supervisor.request_stop()
    await supervisor.wait()
    go_on.set()
    await task
    await supervisor.end()
    assert supervisor.healthy


async def test_two_tasks_cannot_have_one_name() -> None:
    supervisor = Supervisor()
    supervisor.start("sweeper", forever)
    with pytest.raises(ValueError, match="sweeper"):
        supervisor.start("sweeper", forever)
    await supervisor.end()


def test_a_process_whose_task_ended_exits_with_a_code_after_it_has_stopped_in_order() -> None:
    stopped = []

    async def serve(supervisor: Supervisor) -> None:
        supervisor.start("sweeper", raises)
        await supervisor.wait()
        stopped.append(True)

    with pytest.raises(SystemExit) as ended:
        run_supervised(serve)
    assert ended.value.code == TASK_ENDED
    assert stopped


def test_a_process_that_was_asked_to_stop_exits_normally() -> None:
    async def serve(supervisor: Supervisor) -> None:
        supervisor.start("sweeper", forever)
        supervisor.request_stop()
        await supervisor.wait()

    run_supervised(serve)


def test_a_process_whose_task_ended_exits_although_it_cannot_stop_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turngate.process.supervisor._STOP_SECONDS", 0.01)

    async def serve(supervisor: Supervisor) -> None:
        supervisor.start("sweeper", raises)
        await supervisor.wait()
        await forever()

    with capture_logs() as logs, pytest.raises(SystemExit) as ended:
        run_supervised(serve)
    assert ended.value.code == TASK_ENDED
    assert "stop_timed_out" in [line["event"] for line in logs]


def test_what_a_service_raises_passes_through() -> None:
    async def serve(_: Supervisor) -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        run_supervised(serve)
