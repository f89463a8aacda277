"""When has the agent finished answering? A pure reading of the server's messages.

Three things make this more than waiting for `AgentAudioDone`: a response that only calls functions ends with it too,
and the answer is still to come; the ``/openai`` dialect follows it with an `AgentDone` that ends nothing more; and a
user who begins to speak voids the reply under way.
"""

from __future__ import annotations

from turngate.cli.messages import Message

_ENDS = frozenset({"AgentAudioDone", "AgentDone"})


class Turns:
    """Follows one conversation. Call `asked` for each text turn sent and `receive` for each message from the server."""

    def __init__(self) -> None:
        #: True from a user's turn, spoken or sent, until the reply to it has ended.
        self.waiting = False
        #: True between the first sign of a reply and its end.
        self.replying = False
        #: How often the server has heard the user begin to speak.
        self.utterances = 0
        #: Replies that have ended; a response that only called functions is none.
        self.replies = 0
        self._calls = False

    def asked(self) -> None:
        """A user's turn was sent as text."""
        self.waiting = True

    def receive(self, message: Message | bytes) -> None:
        """Take in one message (or binary audio) from the server."""
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
    """Whether this is text of the agent, rather than the user's words coming back."""
    return not isinstance(message, bytes) and message.get("role") == "assistant"
