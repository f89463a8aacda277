"""A crowd of conversations with a fault in the middle, judged one by one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from random import Random

import orjson

from tests.chaos.conversation import STEPS_PER_ROUND, Talk
from tests.chaos.faults import Fault, Progress
from tests.end_to_end.client import get
from tests.end_to_end.judge import Judge
from turngate.local.stack import Stack

CONVERSATIONS = 50
ROUNDS = 1
_PATIENCE_SECONDS = 60


def stack_for_faults(redis_servers: int = 1) -> Stack:
    """Two of every worker, brokers of its own, and a record of no more than the newest crowd."""
    record = {"SESSIONS": str(CONVERSATIONS), "ENTRIES": "5000"}
    env = {f"TURNGATE_SIMULATOR_RECORD_{name}": value for name, value in record.items()}
    env["PYTHONPATH"] = str(Path(__file__).parents[1] / "killable")
    return Stack(translators=2, session_states=2, redis_servers=redis_servers, pace=0.2, env=env)


@dataclass(frozen=True, slots=True)
class Held:
    """What a crowd came to, in seconds from connecting to the last reply."""

    slowest: float
    median: float

    def later_than(self, undisturbed: Held) -> str:
        """In words, against a crowd that nothing happened to."""
        return (
            f"slowest {self.slowest:.1f} s ({self.slowest - undisturbed.slowest:+.1f} s), "
            f"median {self.median:.1f} s ({self.median - undisturbed.median:+.1f} s)"
        )


async def hold(stack: Stack, fault: Fault | None = None, random: Random | None = None) -> Held:
    """Hold all conversations at once, with the fault in the middle. Fails if any is not as it must be."""
    progress = Progress(CONVERSATIONS * (1 + STEPS_PER_ROUND * ROUNDS))
    talks = [Talk(ROUNDS, progress.step) for _ in range(CONVERSATIONS)]
    async with asyncio.TaskGroup() as group:
        for talk in talks:
            group.create_task(talk.run(stack))
        if fault is not None:
            group.create_task(_until_over(stack, fault, progress, random or Random()))
    await _judge(stack, talks)
    judge = Judge()
    await judge.hear(stack)
    assert judge.frames >= CONVERSATIONS
    seconds = sorted(talk.seconds for talk in talks)
    return Held(slowest=seconds[-1], median=seconds[len(seconds) // 2])


async def _until_over(stack: Stack, fault: Fault, progress: Progress, random: Random) -> None:
    await fault(stack, progress, random)
    await until_ready(stack)


async def until_ready(stack: Stack) -> None:
    """Return when every process of the stack can work (again)."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for child in stack.processes.values():
            while await child.program.check() is not None:
                assert not child.given_up.is_set(), f"{child.name} is not started again"


async def _judge(stack: Stack, talks: list[Talk]) -> None:
    sessions = (await get(f"{stack.simulator_url}/record"))["sessions"]
    for talk in talks:
        (record,) = [session for session in sessions if talk.mark in orjson.dumps(session).decode()]
        assert record["dropped"] == 0
        talk.judge(record)
