"""A client at the end of a downlink, for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.dialect import AGENT, Dialect
from gateway.downlink.downlink import Downlink
from tests.unit.schemas import accepted_by_clients
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.server_events import ServerEvent


class Client:
    """A downlink and everything that it told; every message is checked against the official SDK.

    Without ``progress`` it leaves out how a reply comes about (``LatencyReport``, ``AgentThinking``).
    """

    def __init__(
        self, dialect: Dialect = AGENT, *, history: bool = False, progress: bool = False, **limits: Any
    ) -> None:
        dialect = replace(dialect, sends_progress=progress and dialect.sends_progress)
        self.downlink = Downlink(dialect, history, **limits)
        self.told: list[ServerMessage] = []
        self.now = 0.0

    def hears(self, *events: ServerEvent) -> list[str]:
        """The types of the messages that these events mean; each event comes one second after the other."""
        before = len(self.told)
        for event in events:
            self.now += 1
            self.tell(self.downlink.handle(event, self.now))
        return [message["type"] for message in self.told[before:]]

    def audio(self, item_id: str = "item_1", response_id: str = "resp_1", ms: float = 0) -> list[str] | None:
        self.now += 1
        messages = self.downlink.audio(response_id, item_id, self.now)
        if messages is not None:
            self.downlink.playout.forwarded(item_id, ms, self.now)
        return None if messages is None else [message["type"] for message in self.tell(messages)]

    def tell(self, messages: Iterable[ServerMessage]) -> list[ServerMessage]:
        messages = list(messages)
        for message in messages:
            accepted_by_clients(message)
        self.told += messages
        return messages

    def last(self, kind: str) -> dict[str, Any]:
        return next(message for message in reversed(self.told) if message["type"] == kind)

    def texts(self) -> list[tuple[str, str]]:
        return [(m["role"], m["content"]) for m in self.told if m["type"] == "ConversationText"]
