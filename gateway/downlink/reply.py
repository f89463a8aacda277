"""One response of the upstream, as far as the client is told about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from turngate.protocol.openai.server_events import ContentPart, Item


@dataclass(slots=True)
class Reply:
    """What has been told of one response, and what is still to come."""

    id: str
    #: Seconds, when it was first heard of.
    since: float
    #: False for an out-of-band response: the client never hears of it.
    default: bool = True
    #: ``AgentStartedSpeaking`` was sent.
    started: bool = False
    #: Audio of it has come.
    sounded: bool = False
    #: Seconds, when its first words came; None before.
    words_at: float | None = None
    #: The user interrupted it, or the gateway cancelled it: nothing more of it is sent.
    cut: bool = False
    #: ``response.done`` has come.
    over: bool = False
    #: ``AgentAudioDone`` was sent.
    closed: bool = False
    #: Items whose audio has begun and not ended.
    sounding: set[str] = field(default_factory=set)
    #: What it says, as far as it has come, by item.
    words: dict[str, str] = field(default_factory=dict)
    #: Function calls of it that the client was asked for, by id.
    calls: list[str] = field(default_factory=list)
    #: Texts that came by themselves, by item, until the item itself comes.
    texts: dict[str, str] = field(default_factory=dict)
    #: Arguments that came by themselves, by call.
    arguments: dict[str, str] = field(default_factory=dict)
    #: Texts that were sent, to recognise them in items that have no id.
    said: set[str] = field(default_factory=set)

    @property
    def muted(self) -> bool:
        return self.cut or self.closed or not self.default

    @property
    def running(self) -> bool:
        return not self.over and not self.cut

    def forget(self) -> None:
        """It is over: let go of everything that grew with it."""
        self.sounding.clear()
        self.words.clear()
        self.texts.clear()
        self.arguments.clear()
        self.said.clear()


def text_of(item: Item) -> str:
    """The words of an assistant's item: what was written or said, part by part."""
    return " ".join(words for part in item.content if (words := _words(part)))


def _words(part: ContentPart) -> str:
    if part.type == "function_call":
        return f"Function call: {part.name}({part.arguments or ''})"
    return (part.text or part.transcript or "").strip()
