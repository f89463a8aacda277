"""Determines from the server's messages when the agent has finished its reply. No I/O.

`AgentAudioDone` alone is not enough: a response that only calls functions also ends with it, before the actual reply;
the ``/openai`` dialect sends an additional `AgentDone` after it; and the current reply is void when the user starts to
speak.
"""

from __future__ import annotations

from turngate.cli.messages import Message

_ENDS = frozenset({"AgentAudioDone", "AgentDone"})


class ReplyTracker:
    """Tracks one session. Call `turn_sent` for each user message sent and `receive` for each message received."""

    def __init__(self) -> None:
        #: True from the user's turn, spoken or sent as text, until the reply to it has ended.
        self.waiting = False
        #: True from the first message of a reply to its end.
        self.replying = False
        #: Number of `UserStartedSpeaking` messages.
        self.utterances = 0
        #: Number of replies that have ended, without responses that only called functions.
        self.replies = 0
        self._calls = False

    def turn_sent(self) -> None:
        """A user message was sent as text."""
        self.waiting = True

    def receive(self, message: Message | bytes) -> None:
        """Process a message or audio frame from the server."""
        kind = "audio" if isinstance(message, bytes) else message.get("type")
        if kind == "UserStartedSpeaking":
            self.utterances += 1
            self.waiting = True
            self.replying = self._calls = False
        elif kind == "AgentStartedSpeaking":
            self.replying, self._calls = True, False
        elif kind == "FunctionCallRequest":
            self.replying = self._calls = True
        elif kind == "audio" or (kind == "ConversationText" and is_assistant(message)):
            self.replying = True
        elif kind in _ENDS and self.replying:
            if not self._calls:
                self.waiting = False
                self.replies += 1
            self.replying = self._calls = False


def is_assistant(message: Message | bytes) -> bool:
    """Whether this is text of the agent, not of the user."""
    return not isinstance(message, bytes) and message.get("role") == "assistant"
