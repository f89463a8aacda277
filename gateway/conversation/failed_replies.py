"""Replies that did not come to their end, and are asked for again.

A reply that failed for a reason that may pass is asked for again once, before the client hears of an error. One in the
middle of which the connection was lost is asked for again if nothing of it was heard; otherwise another response goes
on from where it was cut off.

The upstream names a wait in the text of a rate limit's error (``Please try again in 1.2s``,
https://platform.openai.com/docs/guides/rate-limits). What the client has heard is not repeated.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.conversation.context import Context
from gateway.conversation.user_turns import UserTurns
from gateway.downlink.reply import LostReply
from gateway.timers import Timer
from gateway.turn.requests import Kind, Request, TooManyRequests
from turngate.protocol.deepgram import ReplyCutOff, events
from turngate.protocol.openai.errors import PASSING
from turngate.protocol.openai.server_events import ErrorDetail, Response

_NAMED_WAIT = re.compile(r"try again in (\d+(?:\.\d+)?)(ms|s)\b")
#: Seconds to wait where the upstream names no time.
_DEFAULT_WAIT = 0.5
#: The words by which the model knows where its reply was cut off: so many characters, the last ones.
_LAST_WORDS = 300


class FailedReplies:
    """The replies of one session that are to be asked for again."""

    def __init__(
        self, context: Context, turns: UserTurns, asked_again: Callable[[str, Request | None, float], None]
    ) -> None:
        """``asked_again`` is told which response's reply is asked for again, and by which request; None if nothing is
        left to be said, or too many requests are waiting."""
        self._context = context
        self._turns = turns
        self._asked_again = asked_again
        #: The message that the current response carries out: given words, or the rest of a reply. None if it answers
        #: whoever asked.
        self._words: dict[str, Any] | None = None
        #: The current response takes the place of one that failed.
        self._again = False
        #: What waits to be asked for again: the response that failed, and its message.
        self._waiting: list[tuple[str, dict[str, Any] | None]] = []

    def began(self, settled: Iterable[Request]) -> None:
        """A response of the default conversation has begun, and settled these requests."""
        settled = list(settled)
        self._words = next((request.message for request in settled if request.exclusive or request.continues), None)
        self._again = any(request.again for request in settled)
        if not any(request.exclusive for request in settled):
            # It answers everybody.
            self._waiting = [one for one in self._waiting if one[1] is not None]

    def ended(self, response: Response, now: float, *, heard: bool) -> bool:
        """The response has ended; ``heard`` is whether the client has heard anything of it. Returns True if it is asked
        for again after a while: tell the client nothing."""
        error = response.status_details.error if response.status_details is not None else None
        if response.status != "failed" or error is None or error.known_code not in PASSING or heard or self._again:
            return False
        longest = self._context.limits.retry
        wait = _wait(error)
        if wait > longest:
            return False
        self._context.counters.replies_retried += 1
        self._waiting.append((response.id, self._words))
        self._context.timers.set(Timer.RETRY, now + wait)
        return True

    def due(self, now: float) -> None:
        """Ask again."""
        waiting, self._waiting = self._waiting, []
        for response_id, words in waiting:
            self._asked_again(response_id, self._ask(words, now, again=True), now)

    def repeat(self, now: float) -> None:
        """Ask for the reply again that has just ended."""
        self._ask(self._words, now)

    def lost(self, reply: LostReply, now: float, *, wanted: bool = True) -> None:
        """The connection was lost in the middle of this reply: ask for it again, or for the rest of it. If nothing is
        left to be said, or it is not ``wanted`` because it was being cancelled, it ends here."""
        request = self._ask_for_rest(reply, now) if wanted else None
        self._asked_again(reply.id, request, now)
        if request is None:
            self._context.tell(*self._context.downlink.end())

    def _ask_for_rest(self, reply: LostReply, now: float) -> Request | None:
        if reply.called:
            # The results of its calls are answered.
            return None
        words, again = self._words, self._again
        if reply.text:
            given = None if words is None else words.get("rest") or words.get("message")
            rest = None if given is None else _rest(given, reply.text)
            if rest == "":
                return None
            words = ReplyCutOff(heard=reply.text[-_LAST_WORDS:], rest=rest).wire()
            # It was heard, so it did not fail.
            again = False
        request = self._ask(words, now, again=again)
        if request is not None:
            request.continues = reply.started
        return request

    def journaled(self) -> dict[str, Any]:
        """What another gateway needs to go on (`take_up`)."""
        return {"words": self._words, "again": self._again, "waiting": self._waiting}

    def take_up(self, journaled: Mapping[str, Any], now: float) -> None:
        """Go on for another gateway, which has written this down."""
        self._words, self._again = journaled["words"], journaled["again"]
        self._waiting = [(response_id, words) for response_id, words in journaled["waiting"]]
        self.due(now)

    def _ask(self, words: dict[str, Any] | None, now: float, *, again: bool = False) -> Request | None:
        request = self._turns.ask(None, now) if words is None else self._ask_for(words, now)
        if request is not None:
            request.again = again
        return request

    def _ask_for(self, words: dict[str, Any], now: float) -> Request | None:
        try:
            # Given words answer nobody; the rest of an answer answers everybody.
            exclusive = words["type"] == "InjectAgentMessage" or words.get("rest") is not None
            request = self._context.accept(Kind.RESPONSE, words, now, own=True, exclusive=exclusive)
            request.items_known = True
            return request
        except TooManyRequests:
            self._context.tell(
                events.warning("TOO_MANY_REQUESTS", "Too many requests are waiting; the agent's message is not spoken.")
            )
            return None


def _rest(words: str, heard: str) -> str | None:
    """What is left of given words; None if what was heard is not their beginning."""
    return words.strip()[len(heard) :].strip() if words.strip().startswith(heard) else None


def _wait(error: ErrorDetail) -> float:
    """How long to wait, in seconds."""
    named = _NAMED_WAIT.search(error.message)
    if named is None:
        return _DEFAULT_WAIT
    return float(named[1]) / (1000 if named[2] == "ms" else 1)
