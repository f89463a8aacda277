"""What the translators command, carried out: items in the client's order, releases only into a free turn."""

from __future__ import annotations

from typing import Any

from gateway.conversation.context import State
from gateway.conversation.on_client import ClientSide
from gateway.turn.release_gate import Drop, Outbox, Sendable
from gateway.turn.slot import Request as ResponseRequest
from gateway.turn.upstream_config import Update
from turngate.protocol.deepgram import events
from turngate.protocol.messages import AddItems, Command, RefuseRequest, SendRelease
from turngate.protocol.openai import realtime


class TranslatorSide:
    """The translators' half of a conversation."""

    def __init__(self, state: State, client: ClientSide) -> None:
        self._state = state
        self._client = client
        self._outbox = Outbox(state.ledger, state.turn, lambda: state.configuration.update is not None)
        #: Items that wait for the session to be configured.
        self._held: list[dict[str, Any]] = []
        #: The release that was sent (as much of it as may go in one) or dropped last: nobody need wait for it.
        self.decided_release: str | None = None

    def command(self, command: Command, now: float) -> None:
        """What a translator wants done; twice, late and for settled requests is fine."""
        if isinstance(command, SendRelease):
            self._outbox.offer(command)
        else:
            for translated in self._outbox.translated(command):
                self._carry_out(translated)
        self._decide_release(now)

    def advance(self, now: float) -> None:
        """Something was given up, or time has passed: what waited for it may go."""
        for translated in self._outbox.advance():
            self._carry_out(translated)
        self._decide_release(now)

    def configured(self) -> None:
        """The session is configured: what was kept for it goes upstream."""
        held, self._held = self._held, []
        for item in held:
            self._send_item(item)

    def _carry_out(self, command: AddItems | RefuseRequest) -> None:
        state = self._state
        request = state.ledger.get(command.seq)
        if request is None:
            return
        if isinstance(command, RefuseRequest):
            state.ledger.settle([command.seq])
            self._client.refused(request, command.code, command.description)
            return
        request.translated = True
        request.unacknowledged |= {item["id"] for item in command.items}
        for notice in command.notices:
            state.tell_once(notice)
        for item in command.items:
            if not state.configured:
                self._held.append(item)
            else:
                self._send_item(item)

    def _send_item(self, item: dict[str, Any]) -> None:
        self._state.out.to_upstream.append(realtime.item_create(item, event_id=item["id"]))

    # --- what needs a free turn

    def _decide_release(self, now: float) -> None:
        decided = self._outbox.release()
        if decided is None:
            return
        release, what = decided
        self.decided_release = release.release
        if isinstance(what, Drop):
            self._state.counters.releases_dropped[what] += 1
            return
        self._send_configuration(what, now)
        self._send_response(what, now)

    def _send_configuration(self, what: Sendable, now: float) -> None:
        if what.configuration is None:
            return
        state = self._state
        prepared = state.configuration.prepare(what.configuration)
        for path in prepared.left_out:
            state.tell(
                events.warning(
                    "SETTING_CANNOT_CHANGE", f"`{path}` cannot change any more in this session; the rest is applied."
                )
            )
        if prepared.truncated_from is not None:
            state.tell_once(
                events.warning(
                    "PROMPT_TOO_LONG",
                    f"The prompt has {prepared.truncated_from} characters; the model gets the first "
                    f"{state.limits.prompt}.",
                )
            )
        if prepared.session.keys() == {"type"} and prepared.left_out:
            state.ledger.settle(what.configures)
            return
        event_id = state.send(lambda event_id: realtime.session_update(prepared.session, event_id), "configure")
        if any(self._waited(seq) for seq in what.configures):
            state.counters.release_latency(now - state.turn.since)
        state.configuration.sent(Update(event_id, prepared.session, what.configures, now))
        state.ledger.send(what.configures)

    def _waited(self, seq: int) -> bool:
        """True when the request came before the turn was last freed, so that its end is what let it go."""
        state = self._state
        request = state.ledger.get(seq)
        return state.configured and request is not None and request.accepted_at < state.turn.since

    def _send_response(self, what: Sendable, now: float) -> None:
        if what.response is None:
            return
        state, overrides = self._state, what.response.overrides
        # Given words answer nobody but who asked for them.
        knows = frozenset[int]() if what.response.exclusive else state.ledger.sent()
        # Raises before anything is sent, should the slot not be free.
        state.turn.request_sent(ResponseRequest(state.next_event_id("respond"), what.responds, now, knows))
        state.send(lambda event_id: realtime.response_create(overrides, event_id), "respond")
        state.ledger.send(what.responds)
