"""Runs the script against a gateway and records the observations."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Literal

from turngate.cli.agent_session import AgentSession, describe_error, open_session
from turngate.cli.demo.observations import DemoRun, Observation, Source, find_record
from turngate.cli.demo.script import OPENING, Scenario, Step
from turngate.cli.errors import CommandError
from turngate.cli.fetch import fetch_json
from turngate.cli.messages import Message
from turngate.cli.speech import speak
from turngate.cli.wav import Recording

TURN_TIMEOUT_S = 60.0
#: How long to keep receiving after the last turn, in order to detect a second reply.
AFTERWARDS_S = 0.5
#: Seconds of a reply that are heard before its connection is cut, or its gateway killed.
_WORDS_S = 1.5
#: Seconds between two queries of session-state while requests should be held.
WATCH_S = 0.05

#: Called at the end of each step with the observations so far.
Progress = Callable[[DemoRun, Scenario, str], None]


class DemoRunner:
    """Runs scenarios one after the other; ``demo_run`` and ``voice`` contain the results."""

    def __init__(
        self,
        script: tuple[Scenario, ...],
        *,
        url: str,
        simulator_url: str | None,
        session_state_url: str | None,
        progress: Progress,
        api_key: str | None = None,
        kill_gateway: Callable[[], None] | None = None,
    ) -> None:
        """``kill_gateway`` kills the gateway that serves the client, for scenarios that need it."""
        self.demo_run = DemoRun(script, (), watched=session_state_url is not None)
        #: All of the agent's audio.
        self.voice = bytearray()
        self._url = url
        self._api_key = api_key
        self._kill_gateway = kill_gateway
        self._simulator_url = simulator_url
        self._session_state_url = session_state_url
        self._progress = progress
        self._seen: list[Observation] = []
        self._scenario = ""
        self._step = ""
        self._request_id: str | None = None

    async def run(self) -> None:
        """Run the whole script. Raises `CommandError` if it cannot continue; the observations until then are kept."""
        for scenario in self.demo_run.script:
            self._scenario, self._step = scenario.name, OPENING
            async with open_session(
                self._url,
                scenario.path,
                scenario.opening,
                scenario.functions,
                observe=self._observe,
                api_key=self._api_key,
                notice=lambda line: self._note("notice", {"description": line}),
            ) as session:
                try:
                    await self._run_scenario(session, scenario)
                finally:
                    await self._finish(scenario)

    async def _run_scenario(self, session: AgentSession, scenario: Scenario) -> None:
        if scenario.greeted:
            await self._settle(session, lambda: session.tracker.replies > 0, "greeting")
        for step in scenario.steps:
            await self._finish(scenario)
            self._step = step.name
            await self._take_turn(session, step)
        # A fixed time, in order to detect that nothing else arrives.
        await asyncio.sleep(AFTERWARDS_S)

    async def _take_turn(self, session: AgentSession, step: Step) -> None:
        if step.recording is not None:
            await self._speak(session, step.recording)
        if step.text is not None:
            await session.say(step.text)
        if step.cut:
            await self._cut(session)
        if step.kill:
            await self._kill(session)
        if step.updates:
            tracker = session.tracker
            # If the reply has already ended, nothing is held, and a check reports it.
            await self._settle(session, lambda: tracker.replying or not tracker.waiting, "beginning of the reply")
            async with self._watching():
                for update in step.updates:
                    await session.request(update)
                await self._settle(session, lambda: session.settled, "acknowledgement")
        await self._settle(session, lambda: not session.tracker.waiting, "end of the reply")

    async def _cut(self, session: AgentSession) -> None:
        """Cut the connection to the upstream in the middle of the reply."""
        assert self._simulator_url is not None
        await self._hear_words(session)
        await fetch_json(f"{self._simulator_url}/cut", option="--simulator-url")
        self._note("fault", {"description": "the connection to the upstream is cut"})

    async def _kill(self, session: AgentSession) -> None:
        """Kill the gateway in the middle of the reply."""
        assert self._kill_gateway is not None
        await self._hear_words(session)
        self._note("fault", {"description": "the gateway is killed"})
        self._kill_gateway()

    async def _hear_words(self, session: AgentSession) -> None:
        tracker = session.tracker
        await self._settle(session, lambda: tracker.replying or not tracker.waiting, "beginning of the reply")
        await asyncio.sleep(_WORDS_S)

    async def _speak(self, session: AgentSession, recording: Recording) -> None:
        length = f"{recording.seconds:.1f} s at {recording.sample_rate // 1000} kHz"
        self._note("speech", {"description": f"speaking: {recording.name}, {length}"})
        spoken = {"description": "silent now"}
        await speak(session, recording, timeout_s=TURN_TIMEOUT_S, spoken=lambda: self._note("speech", spoken))

    async def _settle(self, session: AgentSession, condition: Callable[[], bool], what: str) -> None:
        await session.until(
            lambda: bool(session.errors) or condition(), timeout_s=TURN_TIMEOUT_S, what=f"{what} ({self._step})"
        )
        if session.errors:
            raise CommandError(describe_error(session.errors[0]))

    def _observe(self, direction: Literal["sent", "received"], message: Message | bytes) -> None:
        if isinstance(message, bytes):
            self.voice.extend(message)
            self._note("heard", {"bytes": len(message)})
        else:
            if message.get("type") == "Welcome":
                self._request_id = message.get("request_id")
            self._note(direction, message)

    def _note(self, source: Source, message: Message) -> None:
        self._seen.append(Observation(time.time(), self._scenario, self._step, source, message))

    async def _finish(self, scenario: Scenario) -> None:
        """Update ``demo_run`` with the observations and the upstream's record, and report progress."""
        records = dict(self.demo_run.records)
        if self._simulator_url is not None:
            sessions = (await fetch_json(f"{self._simulator_url}/record", option="--simulator-url"))["sessions"]
            record = find_record(sessions, scenario.opening["agent"]["think"]["prompt"])
            if record is not None:
                records[scenario.name] = record
        self.demo_run = replace(self.demo_run, observations=tuple(self._seen), records=records)
        self._progress(self.demo_run, scenario, self._step)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Query session-state until the block ends, and record each request when it is first shown as held."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        shown: set[int] = set()
        while self._session_state_url is not None:
            listed = await fetch_json(
                f"{self._session_state_url}/sessions",
                option="--session-state-url",
                key=os.environ.get("TURNGATE_ADMIN_KEY"),
            )
            held: list[Message] = next(
                (one["held"] for one in listed["sessions"] if one["session"] == self._request_id), []
            )
            if fresh := {one["seq"] for one in held} - shown:
                shown |= fresh
                self._note("held", {"held": held})
            await asyncio.sleep(WATCH_S)
