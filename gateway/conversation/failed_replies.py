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
from collections.abc import Iterable
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

    def __init__(self, context: Context, turns: UserTurns) -> None:
        self._context = context
        self._turns = turns
        #: The message that the current response carries out: given words, or the rest of a reply. None if it answers
        #: whoever asked.
        self._words: dict[str, Any] | None = None
        #: The current response was asked for again.
        self._again = False
        #: What waits to be asked for again: given words, or None for an answer to whoever asked.
        self._waiting: list[dict[str, Any] | None] = []
        #: Requests that ask again.
        self._seqs: set[int] = set()

    def began(self, settled: Iterable[Request]) -> None:
        """A response of the default conversation has begun, and settled these requests."""
        settled = list(settled)
        self._words = next((request.message for request in settled if request.exclusive or request.continues), None)
        self._again = any(request.seq in self._seqs for request in settled)
        self._seqs = {seq for seq in self._seqs if self._context.requests.get(seq) is not None}
        if not any(request.exclusive for request in settled):
            # It answers everybody.
            self._waiting = [words for words in self._waiting if words is not None]

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
        self._waiting.append(self._words)
        self._context.timers.set(Timer.RETRY, now + wait)
        return True

    def due(self, now: float) -> None:
        """Ask again."""
        waiting, self._waiting = self._waiting, []
        for words in waiting:
            request = self._ask(words, now)
            if request is not None:
                self._seqs.add(request.seq)

    def repeat(self, now: float) -> None:
        """Ask for the reply again that has just ended."""
        self._ask(self._words, now)

    def lost(self, reply: LostReply, now: float) -> Request | None:
        """The connection was lost in the middle of this reply. Returns the request that asks for it again, or for the
        rest of it; None if nothing is left to be said."""
        if reply.called:
            # The results of its calls are answered.
            return None
        words = self._words
        if reply.text:
            given = None if words is None else words.get("rest") or words.get("message")
            rest = None if given is None else _rest(given, reply.text)
            if rest == "":
                return None
            words = ReplyCutOff(heard=reply.text[-_LAST_WORDS:], rest=rest).wire()
        request = self._ask(words, now)
        if request is not None:
            request.continues = reply.started
        return request

    @property
    def words(self) -> dict[str, Any] | None:
        """The message that the current response carries out; None if it answers whoever asked."""
        return self._words

    def take_up(self, words: dict[str, Any] | None) -> None:
        """Go on for another gateway, whose current response carried out this message."""
        self._words = words

    def _ask(self, words: dict[str, Any] | None, now: float) -> Request | None:
        if words is None:
            return self._turns.ask(None, now)
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
