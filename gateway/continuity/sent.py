"""The newest messages that were sent to the client, so that one that returns gets what it has missed.

Messages are numbered from 1 per session; audio is not among them, since it is never sent twice. A ping that was sent
after a message and was answered proves that the message arrived.

No I/O, no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

#: Messages that a client must not miss: they are sent again where their arrival is unknown.
_CALL = "FunctionCallRequest"
_NEEDED = frozenset({_CALL, *ACKNOWLEDGEMENTS.values()})
#: Messages after which a ping proves their arrival.
_PROVEN = _NEEDED | {"AgentAudioDone"}


class Sent:
    """The messages of one session, the newest ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: The number of messages so far.
        self.count = 0
        #: How many of them are known to have arrived.
        self._proven = 0
        #: How many of them were sent before a client was lost, and the others were not; None if there are no others.
        self._sent: int | None = None
        #: The numbers of those that the client got last when it returned, and how many had been sent before.
        self._repeated: list[int] = []
        self._sent_before = 0
        #: The newest, with their numbers.
        self._messages: deque[tuple[int, dict[str, Any]]] = deque(maxlen=limit)
        #: The numbers of the message that says that the agent speaks, and that it has spoken, both the newest.
        self.reply_start = 0
        self._reply_end = 0
        #: The number to prove next, if any, and whether a ping is under way.
        self._wanted = 0
        self._marked = 0

    def add(self, message: dict[str, Any]) -> None:
        """This is sent to the client, after everything before."""
        self.count += 1
        self._messages.append((self.count, message))
        if message["type"] in _PROVEN:
            self._wanted = self.count
        match message["type"]:
            case "AgentStartedSpeaking":
                self.reply_start = self.count
            case "AgentAudioDone":
                self._reply_end = self.count

    def mark(self) -> bytes | None:
        """What to send in a ping now, after everything that was added; None if nothing is to be proven, or another ping
        is under way."""
        if self._marked or not self._wanted:
            return None
        self._marked = self.count
        return str(self.count).encode()

    def proven(self, mark: bytes) -> None:
        """The client has answered this ping. Call `mark` again."""
        number, self._marked = self._marked, 0
        if mark != str(number).encode():
            # Nobody sent it.
            self._marked = number
            return
        self._proven = number
        if self._wanted <= number:
            self._wanted = 0

    @property
    def has_reply(self) -> bool:
        """Whether the client is known to have the newest reply that has ended, with all of its audio."""
        return self._proven >= self._reply_end

    @property
    def proven_count(self) -> int:
        """How many messages are known to have arrived."""
        return self._proven

    def numbered(self, after: int) -> list[tuple[int, dict[str, Any]]]:
        """The messages that are kept, with their numbers, from the first one ``after`` this number on."""
        return [(number, message) for number, message in self._messages if number > after]

    def take_up(self, count: int, proven: int, sent: int, messages: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Have the messages of another gateway, by number: so many in all, of which the first ones were ``sent``, and
        the first of these are ``proven`` to have arrived."""
        self.count, self._proven, self._sent = count, proven, sent
        self._messages.extend(sorted(messages, key=itemgetter(0)))
        # What is sent again is proven by the next ping.
        self._wanted = count if count > proven else 0

    def missed(self, received: int | None, unsent: int, is_open: Callable[[str], bool]) -> list[dict[str, Any]]:
        """The client has returned. Returns what it has missed of what was sent: of all but the last ``unsent``
        messages, which are still queued.

        ``received`` is how many messages the client says it has, if it says so; otherwise these are the messages whose
        arrival is unknown and that it must not miss. ``is_open`` returns whether a function call waits for its result.
        Pings that were under way are not answered any more."""
        self._marked = 0
        last_sent, self._sent = self._last_sent, None
        was_sent = [(number, message) for number, message in self._messages if number <= self.count - unsent]
        if received is not None and received <= self.count:
            missed = [one for one in was_sent if one[0] > received]
        else:
            missed = [
                (number, message)
                for number, message in was_sent
                if number > self._proven
                and (number > last_sent or message["type"] in _NEEDED)
                and (message["type"] != _CALL or any(is_open(call["id"]) for call in message["functions"]))
            ]
        self._repeated, self._sent_before = [number for number, _ in missed], last_sent
        return [message for _, message in missed]

    def lost(self, unsent: int, unrepeated: int) -> int:
        """The client is gone: the last ``unsent`` messages are still queued, and so are the last ``unrepeated`` ones of
        those that it got when it returned (`missed`). Returns how many messages were sent."""
        if unrepeated and self._repeated:
            first = self._repeated[-min(unrepeated, len(self._repeated))]
            self._sent = max(first - 1, self._sent_before)
        return min(self.count - unsent, self._last_sent)

    @property
    def _last_sent(self) -> int:
        return self.count if self._sent is None else self._sent
