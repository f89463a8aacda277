"""A conversation on a bench that is written down for other gateways, and its next owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.continuity.journal import Changes, read
from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.conversation.traces import Tracing
from gateway.dialect import AGENT, DIALECTS, Dialect
from tests.unit.gateway.bench import Bench, Out, words
from turngate.protocol.messages import ResponseRequest, SendRelease

LIMITS = Limits(reconnect=30.0, retry=0.0, session=7_200.0, session_notice=0.0)


BY_NAME = {dialect.name: dialect for dialect in DIALECTS.values()}


class Owner(Bench):
    """A bench whose conversation is written down after everything that happens."""

    def __init__(
        self,
        dialect: Dialect = AGENT,
        limits: Limits = LIMITS,
        *,
        epoch: int = 0,
        age: float = 0.0,
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing
        self.told: list[dict[str, Any]] = []
        self.written: dict[str, bytes] = {}
        self.entries: list[Changes] = []
        super().__init__(dialect, limits)
        self.conversation = Conversation(
            "session-0001",
            f"gw-{epoch}",
            dialect,
            limits,
            self.now,
            resumable=True,
            epoch=epoch,
            age=age,
            tracing=tracing,
        )

    def write(self, changes: Changes | None) -> None:
        if changes is None:
            return
        self.entries.append(changes)
        if changes.whole:
            self.written.clear()
        for name in changes.gone:
            del self.written[name]
        self.written |= changes.parts

    def says(self, text: str, milliseconds: int) -> None:
        """The second request is answered with these words, and nothing of the reply is under way any more."""
        self.created("resp_1", self.requested(2))
        words(self, "resp_1", "a1", text, milliseconds)
        self.event("response.output_audio.done", response_id="resp_1", item_id="a1")
        self.done("resp_1")

    def arrive(self) -> None:
        """Everything that was sent has arrived."""
        mark = self.conversation.client_legs.mark()
        assert mark is not None
        self.conversation.client_legs.proven(mark)

    def _drain(self) -> Out:
        out = super()._drain()
        self.told += out.messages
        assert self.conversation.journal is not None
        self.write(self.conversation.journal.changes(self.now))
        return out

    def send(self, responds: tuple[int, ...], **fields: Any) -> Out:
        release = SendRelease(
            session="s",
            epoch=self.conversation.epoch,
            release="r9",
            response=ResponseRequest(**fields),
            responds=responds,
        )
        self.conversation.command(release, self.now)
        return self._drain()


class Moved(Owner):
    """The next owner, which has taken the conversation up."""

    def __init__(self, before: Owner, received: int | None = None) -> None:
        parts = read(before.written)
        epoch = before.conversation.epoch + 1
        dialect, limits = BY_NAME[parts["about"]["dialect"]], before.conversation.context.limits
        super().__init__(dialect, limits, epoch=epoch, tracing=before.tracing)
        self.conversation.take_up(parts, self.now)
        #: What the client gets first of what the other gateway had for it, and what comes then.
        self.missed = self.conversation.client_returned(received, 0, self.now)
        self.taken_up = self._drain()


def ready(dialect: Dialect = AGENT, limits: Limits = LIMITS, **settings: Any) -> Owner:
    owner = Owner(dialect, limits)
    owner.configured(**settings)
    return owner


def killed(owner: Owner, received: int | None = None) -> Moved:
    """The gateway is gone; its journal is what was written."""
    return Moved(owner, received)


def handed_over(owner: Owner, received: int | None = None) -> Moved:
    """The gateway completes the journal."""
    owner.write(owner.conversation.hand_over(owner.now))
    drained = owner.conversation.drain()
    assert (drained.to_client, drained.to_upstream, drained.to_publish) == ([], [], [])
    return Moved(owner, received)


WAYS = pytest.mark.parametrize("moved", [killed, handed_over])


Way = Callable[..., Moved]
