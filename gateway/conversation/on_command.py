"""Executes the translators' commands: items in the client's order, and releases only while the slot is free."""

from __future__ import annotations

from typing import Any

from gateway.conversation.context import Context
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.user_turns import UserTurns
from gateway.turn.release_gate import Drop, ReleaseGate, Sendable
from gateway.turn.slot import PendingCreate
from gateway.turn.upstream_config import Update
from turngate.protocol.deepgram import events
from turngate.protocol.messages import AddItems, RefuseRequest, SendRelease, TurnCommand
from turngate.protocol.openai.client_events import response_create, session_update


class CommandHandler:
    """Executes the commands for one conversation."""

    def __init__(self, context: Context, client: ClientHandler, turns: UserTurns) -> None:
        self._context = context
        self._turns = turns
        self._client = client
        self._release_gate = ReleaseGate(
            context.requests, context.turn, lambda: context.upstream_config.update is not None
        )
        #: Items that wait for the session to be configured, or for the item of a reply that has begun, and whether each
        #: is kept in the transcript.
        self._held: list[tuple[dict[str, Any], bool]] = []
        #: The newest release that was decided: sent, completely or in part, or dropped.
        self.decided_release: str | None = None

    def command(self, command: TurnCommand, now: float) -> None:
        """Execute a command. One that arrives twice, late or for a settled request has no effect."""
        if isinstance(command, SendRelease):
            self._release_gate.offer(command)
        else:
            for translated in self._release_gate.translated(command):
                self._carry_out(translated, now)
        self._decide_release(now)

    def advance(self, now: float) -> None:
        """Execute what waited for a request that was given up, or for time to pass."""
        for translated in self._release_gate.advance():
            self._carry_out(translated, now)
        self._decide_release(now)

    def send_items(self) -> None:
        """Send the held items if they may be sent now. Call it after every change of the turn."""
        if self._held and self._items_may_go:
            held, self._held = self._held, []
            for item, kept in held:
                self._context.add_item(item, kept=kept)

    def held_items(self) -> frozenset[str]:
        """The ids of the items that wait to be sent."""
        return frozenset(item["id"] for item, _ in self._held)

    @property
    def holds_items(self) -> bool:
        """Whether items wait to be sent."""
        return bool(self._held)

    @property
    def _items_may_go(self) -> bool:
        return self._context.live and not self._context.turn.awaits_item

    def _carry_out(self, command: AddItems | RefuseRequest, now: float) -> None:
        context = self._context
        request = context.requests.get(command.seq)
        if request is None:
            return
        if isinstance(command, RefuseRequest):
            context.requests.settle([command.seq])
            self._client.refused(request, command.code, command.description, now)
            return
        request.translated = True
        request.unacknowledged |= {item["id"] for item in command.items}
        for notice in command.notices:
            context.tell_once(notice)
        kept = request.message["type"] == "Settings"
        self._held += [(item, kept) for item in command.items]
        self.send_items()

    # --- releases

    def _decide_release(self, now: float) -> None:
        self.send_items()
        decided = self._release_gate.release()
        if decided is None:
            return
        release, what = decided
        self.decided_release = release.release
        if isinstance(what, Drop):
            self._context.counters.releases_dropped[what] += 1
            return
        self._send_configuration(what, now)
        self._send_response(what, now)

    def _send_configuration(self, what: Sendable, now: float) -> None:
        if what.configuration is None:
            return
        context = self._context
        prepared = context.upstream_config.prepare(what.configuration)
        for path in prepared.left_out:
            context.tell(
                events.warning(
                    "SETTING_CANNOT_CHANGE", f"`{path}` cannot change any more in this session; the rest is applied."
                )
            )
        if prepared.full and len(what.configures) > 1:
            # Each is sent alone, so that only those with an effect are acknowledged.
            context.requests.return_(what.configures, alone=True)
            return
        if prepared.full:
            context.tell(
                events.warning(
                    "PROMPT_TOO_LONG",
                    f"The prompt has {context.limits.prompt} characters, its limit; nothing was added.",
                )
            )
        elif prepared.truncated_from is not None:
            context.tell_once(
                events.warning(
                    "PROMPT_TOO_LONG",
                    f"The prompt has {prepared.truncated_from} characters; the model gets the first "
                    f"{context.limits.prompt}.",
                )
            )
        if prepared.session.keys() == {"type"} and (prepared.left_out or prepared.full):
            context.requests.settle(what.configures)
            return
        event_id = context.send(lambda event_id: session_update(prepared.session, event_id), "configure")
        if any(self._waited(seq) for seq in what.configures):
            context.counters.release_latency(now - context.turn.since)
        context.upstream_config.sent(Update(event_id, prepared.session, what.configures, now))
        context.requests.send(what.configures)

    def _waited(self, seq: int) -> bool:
        """Whether the request was accepted before the slot last became free, so that it had to wait for that."""
        context = self._context
        request = context.requests.get(seq)
        return context.configured and request is not None and request.accepted_at < context.turn.since

    def _send_response(self, what: Sendable, now: float) -> None:
        if what.response is None:
            return
        context, overrides = self._context, what.response.overrides
        if what.response.append_instructions is not None:
            overrides = overrides | {
                "instructions": context.upstream_config.with_instructions(what.response.append_instructions)
            }
        # An injected message answers no other request.
        knows = frozenset[int]() if what.response.exclusive else context.requests.sent()
        # Raises before anything is sent if the slot is not free.
        event_id = context.next_event_id("respond")
        context.turn.request_sent(PendingCreate(event_id, what.responds, now, knows, what.response.interrupts))
        context.send(lambda event_id: response_create(overrides, event_id), "respond")
        self._turns.create_sent()
        context.requests.send(what.responds)
