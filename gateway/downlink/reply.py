"""The state of one reply: what the client has been sent of a response."""

from __future__ import annotations

from dataclasses import dataclass, field

from turngate.protocol.openai.server_events import ContentPart, Item


@dataclass(slots=True)
class Reply:
    """What has been sent of one response, and what has arrived and not been sent."""

    id: str
    #: When its first event arrived, in seconds.
    since: float
    #: False for an out-of-band response, which is not reported to the client.
    default: bool = True
    #: ``AgentStartedSpeaking`` was sent.
    started: bool = False
    #: Audio of it has arrived.
    sounded: bool = False
    #: When its first text arrived, in seconds; None before.
    words_at: float | None = None
    #: The user interrupted it or the gateway cancelled it, so nothing more of it is sent.
    cut: bool = False
    #: The connection was lost in the middle of it. Another reply may go on with it; until then it is not ended.
    lost: bool = False
    #: ``response.done`` has arrived.
    over: bool = False
    #: ``AgentAudioDone`` was sent.
    closed: bool = False
    #: Ids of items whose audio has started and not ended.
    sounding: set[str] = field(default_factory=set)
    #: Ids of items of which audio has arrived.
    sounded_items: set[str] = field(default_factory=set)
    #: The text received so far, by item id.
    words: dict[str, str] = field(default_factory=dict)
    #: Ids of its function calls that were requested from the client.
    calls: list[str] = field(default_factory=list)
    #: Complete texts by item id, until the item itself arrives.
    texts: dict[str, str] = field(default_factory=dict)
    #: Complete arguments of function calls, by call id.
    arguments: dict[str, str] = field(default_factory=dict)
    #: Texts that were sent, to recognise them in items without an id.
    said: set[str] = field(default_factory=set)

    @property
    def gone(self) -> bool:
        """Whether the client is told nothing more of it, not even its end."""
        return self.cut or self.closed or not self.default

    @property
    def muted(self) -> bool:
        """Whether nothing more of what it says is sent."""
        return self.gone or self.lost

    @property
    def running(self) -> bool:
        return not self.over and not self.cut and not self.lost

    def forget(self) -> None:
        """Release the data that is not needed after the end of the reply."""
        self.sounding.clear()
        self.words.clear()
        self.texts.clear()
        self.arguments.clear()
        self.said.clear()


@dataclass(frozen=True, slots=True)
class LostReply:
    """What the client has had of a reply in the middle of which the connection was lost."""

    id: str
    #: ``AgentStartedSpeaking`` was sent.
    started: bool
    #: Functions were called.
    called: bool
    #: The text that was heard, by item id.
    heard: dict[str, str]

    @property
    def text(self) -> str:
        """All that was heard."""
        return " ".join(filter(None, self.heard.values()))


def text_of(item: Item) -> str:
    """The text of an assistant's item, written or spoken."""
    return " ".join(words for part in item.content if (words := _words(part)))


def _words(part: ContentPart) -> str:
    if part.type == "function_call":
        return f"Function call: {part.name}({part.arguments or ''})"
    return (part.text or part.transcript or "").strip()
