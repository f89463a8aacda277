"""A client: it follows its script, and answers function calls as the script says."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from tests.simulation.loop import VirtualLoop
from tests.simulation.script import Answer, Do, Script, Step

#: How long a step waits for its cue, in seconds.
_PATIENCE = 1.5
_BABBLE = b'{"type": '


class Client:
    """``say`` and ``audio`` are its socket; ``special`` carries out the steps that are not a client's doing."""

    def __init__(
        self,
        script: Script,
        clock: VirtualLoop,
        say: Callable[[bytes | dict[str, Any]], None],
        audio: Callable[[bytes], None],
        special: Callable[[Step], None],
        silence: float,
    ) -> None:
        """``silence`` is how much of it ends a turn, in seconds."""
        self.gone = False
        self._answers = script.answers
        self._clock = clock
        self._say = say
        self._audio = audio
        self._special = special
        self._silence = silence
        self._steps = list(reversed(script.steps))
        self._cue: str | None = None
        self._waits = 0
        #: Calls of which the client knows that nobody waits for their results any more: ids, and texts that name them.
        self._cancelled: set[str] = set()
        self._timed_out: list[str] = []
        #: Delayed answers and the ends of spoken turns that are still to come.
        self._busy = 0
        self._next()

    @property
    def finished(self) -> bool:
        """Nothing will be said any more."""
        return self.gone or (not self._steps and not self._busy)

    def notice(self, what: str) -> None:
        """An event passed on the gateway's upstream socket."""
        if what == self._cue:
            self._go()

    def told(self, message: dict[str, Any]) -> None:
        """A message of the server."""
        if message["type"] == "FunctionCallCancelled":
            self._cancelled.update(call["id"] for call in message["functions"])
        if message.get("code") == "FUNCTION_CALL_TIMEOUT":
            self._timed_out.append(message["description"])
        if message["type"] != "FunctionCallRequest" or self.gone:
            return
        for call in message["functions"]:
            mark = orjson.loads(call["arguments"]).get("mark", "")
            answer = self._answers.get(mark, Answer((0.0,)))
            for delay in answer.delays:
                self._busy += 1
                self._clock.later(delay, lambda call=call, answer=answer: self._respond(call, answer))  # type: ignore[misc]

    def _respond(self, call: dict[str, Any], answer: Answer) -> None:
        self._busy -= 1
        if answer.by_name and self._is_over(call["id"]):
            # Said by name alone, it would be taken for the answer to another call.
            return
        response = {"type": "FunctionCallResponse", "name": call["name"], "content": f"Result {call['id']}"}
        if not answer.by_name:
            response["id"] = call["id"]
        self._speak_up(response)

    def _is_over(self, call_id: str) -> bool:
        return call_id in self._cancelled or any(f"({call_id})" in text for text in self._timed_out)

    def _next(self) -> None:
        if not self._steps or self.gone:
            return
        self._cue = self._steps[-1].cue
        if self._cue is None:
            self._go()
            return
        self._waits += 1
        wait = self._waits
        self._clock.later(_PATIENCE, lambda: self._go() if self._cue is not None and self._waits == wait else None)

    def _go(self) -> None:
        self._cue = None
        self._clock.later(self._steps[-1].gap, self._act)

    def _act(self) -> None:
        if self.gone:
            return
        step = self._steps.pop()
        self._do(step)
        self._next()

    def _do(self, step: Step) -> None:
        if step.do is Do.SAY and step.message is not None:
            self._speak_up(step.message)
        elif step.do is Do.BABBLE:
            self._speak_up(_BABBLE)
        elif step.do is Do.SPEAK:
            self._audio(sound(0.1, 0.0))
            self._busy += 1
            self._clock.later(step.seconds, self._fall_silent)
        elif step.do is Do.BLURT:
            self._audio(sound(0.1, self._silence))
        else:
            self._special(step)

    def _fall_silent(self) -> None:
        self._busy -= 1
        if not self.gone:
            self._audio(sound(0.0, self._silence))

    def _speak_up(self, message: bytes | dict[str, Any]) -> None:
        if not self.gone:
            self._say(message)


@lru_cache
def sound(loud: float, quiet: float) -> bytes:
    """Seconds of noise, then of silence; pcm16 at 24 kHz."""
    samples = np.zeros(round((loud + quiet) * 24_000), np.int16)
    samples[: round(loud * 24_000)] = 8_000
    return samples.tobytes()
