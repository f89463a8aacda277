"""Performs the script at a real gateway and writes down what happens. The shell of the demo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Literal

from turngate.cli.conversation import Conversation, describe_error, open_conversation
from turngate.cli.demo.observations import Observation, Performance, Source, find_record
from turngate.cli.demo.script import OPENING, Scene, Step
from turngate.cli.errors import CommandError
from turngate.cli.fetch import fetch_json
from turngate.cli.messages import Message
from turngate.cli.speech import speak
from turngate.cli.wav import Recording

TURN_TIMEOUT_S = 60.0
#: How long to go on listening after the last turn, for a second reply that nobody asked for.
AFTERWARDS_S = 0.5
#: Between two looks at session-state while something is to be held there.
WATCH_S = 0.05

#: Called at the end of each step with everything seen so far.
Progress = Callable[[Performance, Scene, str], None]


class Performer:
    """Performs scenes one after the other; afterwards ``performance`` and ``voice`` hold what came of it."""

    def __init__(
        self,
        script: tuple[Scene, ...],
        *,
        url: str,
        simulator_url: str | None,
        session_state_url: str | None,
        progress: Progress,
        api_key: str | None = None,
    ) -> None:
        self.performance = Performance(script, (), watched=session_state_url is not None)
        #: All of the agent's audio.
        self.voice = bytearray()
        self._url = url
        self._api_key = api_key
        self._simulator_url = simulator_url
        self._session_state_url = session_state_url
        self._progress = progress
        self._seen: list[Observation] = []
        self._scene = ""
        self._step = ""
        self._request_id: str | None = None

    async def perform(self) -> None:
        """Perform the whole script. Raises `CommandError` when it cannot go on; what was seen until then is kept."""
        for scene in self.performance.script:
            self._scene, self._step = scene.name, OPENING
            async with open_conversation(
                self._url, scene.path, scene.opening, scene.functions, observe=self._observe, api_key=self._api_key
            ) as conversation:
                try:
                    await self._perform(conversation, scene)
                finally:
                    await self._finish(scene)

    async def _perform(self, conversation: Conversation, scene: Scene) -> None:
        if scene.greeted:
            await self._settle(conversation, lambda: conversation.turns.replies > 0, "greeting")
        for step in scene.steps:
            await self._finish(scene)
            self._step = step.name
            await self._take_turn(conversation, step)
        # Not for something to happen, but to see that nothing does.
        await asyncio.sleep(AFTERWARDS_S)

    async def _take_turn(self, conversation: Conversation, step: Step) -> None:
        if step.recording is not None:
            await self._speak(conversation, step.recording)
        if step.text is not None:
            await conversation.say(step.text)
        if step.updates:
            turns = conversation.turns
            # A reply that is over before its beginning was looked at leaves nothing to hold; the judge will say so.
            await self._settle(conversation, lambda: turns.replying or not turns.waiting, "beginning of the reply")
            async with self._watching():
                for update in step.updates:
                    await conversation.request(update)
                await self._settle(conversation, lambda: conversation.settled, "acknowledgement")
        await self._settle(conversation, lambda: not conversation.turns.waiting, "end of the reply")

    async def _speak(self, conversation: Conversation, recording: Recording) -> None:
        length = f"{recording.seconds:.1f} s at {recording.sample_rate // 1000} kHz"
        self._note("speech", {"description": f"speaking: {recording.name}, {length}"})
        spoken = {"description": "silent now"}
        await speak(conversation, recording, timeout_s=TURN_TIMEOUT_S, spoken=lambda: self._note("speech", spoken))

    async def _settle(self, conversation: Conversation, condition: Callable[[], bool], what: str) -> None:
        await conversation.until(
            lambda: bool(conversation.errors) or condition(), timeout_s=TURN_TIMEOUT_S, what=f"{what} ({self._step})"
        )
        if conversation.errors:
            raise CommandError(describe_error(conversation.errors[0]))

    def _observe(self, direction: Literal["sent", "received"], message: Message | bytes) -> None:
        if isinstance(message, bytes):
            self.voice.extend(message)
            self._note("heard", {"bytes": len(message)})
        else:
            if message.get("type") == "Welcome":
                self._request_id = message.get("request_id")
            self._note(direction, message)

    def _note(self, source: Source, message: Message) -> None:
        self._seen.append(Observation(time.time(), self._scene, self._step, source, message))

    async def _finish(self, scene: Scene) -> None:
        """Bring ``performance`` up to date, with what was seen here and what the upstream wrote down, and show it."""
        records = dict(self.performance.records)
        if self._simulator_url is not None:
            sessions = (await fetch_json(f"{self._simulator_url}/record", option="--simulator-url"))["sessions"]
            record = find_record(sessions, scene.opening["agent"]["think"]["prompt"])
            if record is not None:
                records[scene.name] = record
        self.performance = replace(self.performance, observations=tuple(self._seen), records=records)
        self._progress(self.performance, scene, self._step)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Look at session-state until the block ends, and write down the first time that it shows something held."""
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
            listed = await fetch_json(f"{self._session_state_url}/sessions", option="--session-state-url")
            held: list[Message] = next(
                (one["held"] for one in listed["sessions"] if one["session"] == self._request_id), []
            )
            if fresh := {one["seq"] for one in held} - shown:
                shown |= fresh
                self._note("held", {"held": held})
            await asyncio.sleep(WATCH_S)
