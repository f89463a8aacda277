"""The loop in virtual time: asyncio works on it as it is."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.loop import EndlessError, VirtualLoop
from turngate.process.log_context import about


def test_time_passes_when_nothing_else_is_left_to_do() -> None:
    loop, seen = VirtualLoop(), []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((seconds, loop.now))

    with loop.running():
        for seconds in (3_600.0, 0.5):
            loop.create_task(sleep(seconds))
        loop.run_until(60.0)
        assert seen == [(0.5, 0.5)]
        assert loop.now == 60.0
        loop.run_until(4_000.0)
    assert seen == [(0.5, 0.5), (3_600.0, 3_600.0)]


def test_what_is_due_at_one_moment_happens_in_the_order_of_asking() -> None:
    loop, seen = VirtualLoop(), list[int]()
    with loop.running():
        for number in range(100):
            loop.call_at(1.0, seen.append, number)
        loop.run_until(2.0)
    assert seen == list(range(100))


def test_time_outs_and_events_work() -> None:
    loop, seen = VirtualLoop(), []

    async def wait(event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(5):
                await event.wait()
            seen.append("event")
        except TimeoutError:
            seen.append("timeout")

    with loop.running():
        event, never = asyncio.Event(), asyncio.Event()
        loop.create_task(wait(event))
        loop.create_task(wait(never))
        loop.later(1.0, event.set)
        loop.run_until(10.0)
    assert seen == ["event", "timeout"]


def test_a_loop_that_does_not_let_time_pass_is_noticed() -> None:
    loop = VirtualLoop()

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with loop.running():
        loop.create_task(spin())
        with pytest.raises(EndlessError):
            loop.run_until(1.0)
        loop.close()


def test_what_has_not_ended_is_closed_without_a_word() -> None:
    loop, seen = VirtualLoop(), []

    async def wait() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.append("closed")

    with loop.running():
        loop.create_task(wait())
        loop.run_until(1.0)
        loop.close()
    assert seen == ["closed"]


def test_what_has_not_ended_is_closed_in_its_own_context() -> None:
    loop = VirtualLoop()

    async def about_a_session() -> None:
        with about("session-1"):
            await asyncio.sleep(3_600)

    with loop.running():
        loop.create_task(about_a_session())
        loop.run_until(1.0)
        loop.close()
