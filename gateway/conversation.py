"""One conversation: everything a gateway decides, and nothing it does.

Feed it what happens (`client_text`, `upstream_event`, `command`, `tick`, `upstream_closed`), then `drain` what is to
be done, at once and in order: the fence is only as good as the order of the socket behind it.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import realtime
from contracts.agent import events
from contracts.broker import AddItems, ClientEvent, Command, RefuseRequest, SendRelease, Slot, TurnRecord
from contracts.unused_events import UNUSED_EVENTS
from gateway.calls import Calls
from gateway.client_side import ClientSide
from gateway.configuration import SessionConfiguration, Update
from gateway.counters import Counters
from gateway.dialect import Dialect
from gateway.downlink import Downlink
from gateway.ledger import Kind, Ledger, Request
from gateway.lifetime import Lifetime
from gateway.limits import Limits
from gateway.manual_audio import ManualAudio
from gateway.outbox import Drop, Outbox, Sendable
from gateway.outputs import Ending, Outputs, UpstreamProblem
from gateway.turn import Request as ResponseRequest
from gateway.turn import Turn
from gateway.upstream_side import UpstreamSide

__all__ = ["Conversation", "Ending", "Outputs", "UpstreamProblem"]

NEVER = float("inf")
#: Notices of one session that are remembered, so that each is told once.
_REMEMBERED_NOTICES = 64


class Conversation:
    """The state of one session, from the client's upgrade to the end. Parts of it are public for the two sides'
    sake."""

    def __init__(
        self,
        session: str,
        gateway: str,
        dialect: Dialect,
        limits: Limits,
        now: float,
        counters: Counters | None = None,
    ) -> None:
        """``counters`` may be shared by all conversations of a process."""
        self.session = session
        self.gateway = gateway
        self.dialect = dialect
        self.limits = limits
        self.turn = Turn(now)
        self.ledger = Ledger(limits.requests, limits.patience, reserve=limits.calls)
        self.configuration = SessionConfiguration()
        self.calls = Calls(limits.calls)
        self.downlink = Downlink(dialect)
        self.counters = counters if counters is not None else Counters()
        #: From the upstream's ``session.created`` on.
        self.connected = False
        #: From the first ``session.updated`` that confirms a configuration of the client's on.
        self.configured = False
        self._outbox = Outbox(self.ledger, self.turn, lambda: self.configuration.update is not None)
        self._lifetime = Lifetime(
            now,
            silence=limits.silence if dialect.ends_on_silence else 0,
            longest=limits.session,
            notice=limits.session_notice,
        )
        #: Set while the upstream's turn detection is off.
        self.manual_audio: ManualAudio | None = None
        self._client = ClientSide(self)
        self._upstream = UpstreamSide(self)
        self._out = Outputs()
        self._items_held: list[dict[str, Any]] = []
        self._notices: dict[tuple[Any, ...], None] = {}
        self._sent_events = 0
        self._dropped_release: str | None = None
        self._free_since: float | None = now
        self._version = 0
        self._snapshot: tuple[Any, ...] = ()
        self._recorded_at = now

    # --- what happens

    def client_text(self, frame: bytes, now: float) -> None:
        """A text frame of the client, of whatever content."""
        self._lifetime.heard(now)
        self._client.text(frame, now)
        self._changed(now)

    def client_audio(self, chunk: bytes, now: float) -> bytes | None:
        """A binary frame of the client, in its declared format; returns it as the upstream wants it. None when there is
        something else to `drain`: an error, or audio that goes among the events since its turns are made here."""
        self._lifetime.heard(now)
        audio = self._client.audio(chunk)
        if audio is None or self.manual_audio is None or not self.configured:
            return audio
        self.manual_audio.feed(audio, now)
        self._changed(now)
        return None

    def upstream_event(self, data: dict[str, Any], now: float) -> None:
        """A server event, audio deltas excepted. A malformed or unknown one is counted and otherwise ignored."""
        try:
            event = realtime.parse_server_event(data)
        except realtime.UpstreamProtocolError:
            self.counters.malformed_events += 1
            return
        if event is not None:
            self._upstream.event(event, now)
            self._changed(now)
        elif (kind := str(data.get("type"))[:64]) not in UNUSED_EVENTS:
            self.counters.unknown_event(kind)

    def command(self, command: Command, now: float) -> None:
        """What a translator wants done; twice, late and for settled requests is fine."""
        if isinstance(command, SendRelease):
            self._outbox.offer(command)
        else:
            for translated in self._outbox.translated(command):
                self._carry_out(translated)
        self._decide_release(now)
        self._changed(now)

    def upstream_closed(self, problem: UpstreamProblem, now: float) -> None:
        """The upstream's socket is gone, or never came: the client hears why, and the session ends."""
        self.turn.disconnected(now)
        if self._out.ending is None:
            code = problem.code if self.configured or not problem.early else "upstream_closed_before_session_ready"
            self.tell_error(code, problem.description)
            self.end(problem.close_code, problem.code)
        self._changed(now)

    def closed(self, now: float) -> None:
        """The client is gone: the session is over, and nothing of it matters any more."""
        self.turn.disconnected(now)
        self._changed(now)

    def tick(self, now: float) -> None:
        """Let time pass; to be called at `deadline`, or often enough."""
        turn, limits = self.turn, self.limits
        if turn.slot is Slot.CLOSED:
            return
        if turn.slot is Slot.PROMISED and turn.since + limits.promise <= now:
            turn.promise_expired(now)
            self._upstream.promise_broken(now)
        if turn.slot is Slot.CANCELLING and turn.since + limits.reply <= now:
            turn.cancel_expired(now)
        if turn.request is not None and turn.request.sent_at + limits.reply <= now:
            self.ledger.return_(turn.request.responds)
            turn.request_expired(now)
        update = self.configuration.update
        if update is not None and update.sent_at + limits.reply <= now:
            self._upstream.update_failed("upstream_timeout", "the upstream did not answer session.update", None, now)
        if self.manual_audio is not None:
            self.manual_audio.tick(now)
        if (up := self._lifetime.due(now)) is not None:
            self._client.time_is_up(up)
        for call in self.calls.overdue(now - limits.call):
            self._client.call_timed_out(call, now)
        if self.connected:
            due = self.ledger.due(now, self._free_since)
            self.counters.republished += len(due)
            self.publish(due, now)
        for request in self.ledger.settle(self.ledger.overdue(now, self._free_since)):
            self.counters.given_up += 1
            self.refuse(request, "REQUEST_TIMED_OUT", f"{request.message['type']} could not be carried out in time.")
        for translated in self._outbox.advance():
            self._carry_out(translated)
        self._decide_release(now)
        if self._recorded_at + limits.heartbeat <= now:
            self._out.turn_changed = True
            self._recorded_at = now
        self._changed(now)

    def deadline(self) -> float:
        """When `tick` has something to do next."""
        turn, limits, update = self.turn, self.limits, self.configuration.update
        if turn.slot is Slot.CLOSED:
            return NEVER
        return min(
            self._recorded_at + limits.heartbeat,
            turn.since + limits.promise if turn.slot is Slot.PROMISED else NEVER,
            turn.since + limits.reply if turn.slot is Slot.CANCELLING else NEVER,
            turn.request.sent_at + limits.reply if turn.request is not None else NEVER,
            update.sent_at + limits.reply if update is not None else NEVER,
            self.calls.earliest() + limits.call,
            self._lifetime.deadline() if self._out.ending is None else NEVER,
            self.manual_audio.deadline() if self.manual_audio is not None else NEVER,
            self.ledger.deadline(self._free_since),
        )

    # --- what is to be done

    def drain(self) -> Outputs:
        """Everything to be done since the last call. The caller does it, in order."""
        out, self._out = self._out, Outputs()
        return out

    def client_event(self, seq: int) -> ClientEvent | None:
        """The event to publish for this request, with the record as it is now; None when it is settled."""
        request = self.ledger.get(seq)
        if request is None:
            return None
        return ClientEvent(
            session=self.session,
            gateway=self.gateway,
            seq=seq,
            attempt=request.attempts,
            dialect=self.dialect.name,
            message=request.message,
            repeated=request.repeated,
            turn=self.record(),
        )

    def record(self) -> TurnRecord:
        """The turn as it is now."""
        turn, update = self.turn, self.configuration.update
        return TurnRecord(
            session=self.session,
            gateway=self.gateway,
            version=self._version,
            slot=turn.slot,
            response_id=turn.response_id,
            user_speaking=turn.user_speaking,
            open_calls=self.calls.open,
            configuring_seq=max(update.configures) if update is not None else None,
            last_seq=self.ledger.last_seq,
            open_configuration=self.ledger.open(Kind.CONFIGURATION),
            open_responses=self.ledger.open(Kind.RESPONSE),
            dropped_release=self._dropped_release,
        )

    # --- for the two sides

    def tell(self, *messages: dict[str, Any]) -> None:
        """Send these to the client."""
        self._out.to_client.extend(messages)

    def tell_once(self, message: dict[str, Any]) -> None:
        """Send this to the client unless it was told the same before."""
        key = tuple(message.items())
        if key not in self._notices:
            if len(self._notices) >= _REMEMBERED_NOTICES:
                del self._notices[next(iter(self._notices))]
            self._notices[key] = None
            self.tell(message)

    def tell_error(self, code: str, description: str) -> None:
        self.tell(events.error(code, description))

    def send(self, build: Callable[[str], dict[str, Any]], purpose: str) -> str:
        """Send a client event upstream; ``build`` gets its ``event_id``, which is returned."""
        self._sent_events += 1
        event_id = f"{self.session[:12]}.{purpose}.{self._sent_events}"
        self._out.to_upstream.append(build(event_id))
        return event_id

    def publish(self, seqs: list[int], now: float) -> None:
        """Hand these requests to the broker (once there is an upstream that could take them)."""
        for seq in seqs:
            self.ledger.published(seq, now)
        self._out.to_publish.extend(seqs)

    def end(self, code: int, reason: str) -> None:
        """Close the session after what is still to be sent. The first reason stands."""
        if self._out.ending is None:
            self._out.ending = Ending(code, reason)

    def refuse(self, request: Request, code: str, description: str) -> None:
        """This request was settled without effect: tell the client why."""
        self._client.refused(request, code, description)

    def first_configured(self, now: float) -> None:
        """The session is configured: what was kept for it goes upstream, and the agent greets."""
        self.configured = True
        self.turn.configured(now)
        held, self._items_held = self._items_held, []
        for item in held:
            self._send_item(item)
        self._client.configured(now)

    def observed(self, event: realtime.ServerEvent, now: float) -> None:
        """Take something for an event of the upstream that it would send if it did what this gateway does for it."""
        self._upstream.event(event, now)

    def force_end_turn(self, now: float) -> None:
        """The client says that the user's turn is over; nothing happens when there is none."""
        if self.manual_audio is not None:
            self.manual_audio.end_turn(now)
        elif self.turn.user_speaking:
            self._upstream.force_commit()

    def is_about(self, event_id: str | None, purpose: str) -> bool:
        """True for the ``event_id`` of something that this gateway sent for this purpose by itself."""
        return event_id is not None and event_id.startswith(f"{self.session[:12]}.{purpose}.")

    def user_turn_ended(self, item_id: str | None, now: float) -> Request | None:
        """The user's audio turn needs a response that the upstream will not make by itself."""
        return self._client.user_turn_ended(item_id, now)

    # --- inside

    def _carry_out(self, command: AddItems | RefuseRequest) -> None:
        request = self.ledger.get(command.seq)
        if request is None:
            return
        if isinstance(command, RefuseRequest):
            self.ledger.settle([command.seq])
            self.refuse(request, command.code, command.description)
            return
        request.translated = True
        request.unacknowledged |= {item["id"] for item in command.items}
        for notice in command.notices:
            self.tell_once(notice)
        for item in command.items:
            if not self.configured:
                self._items_held.append(item)
            else:
                self._send_item(item)

    def _send_item(self, item: dict[str, Any]) -> None:
        self._out.to_upstream.append(realtime.item_create(item, event_id=item["id"]))

    def _decide_release(self, now: float) -> None:
        decided = self._outbox.release()
        if decided is None:
            return
        release, what = decided
        if isinstance(what, Drop):
            self.counters.releases_dropped[what] += 1
            self._dropped_release = release.release
            return
        self._send_configuration(what, now)
        self._send_response(what, now)

    def _send_configuration(self, what: Sendable, now: float) -> None:
        if what.configuration is None:
            return
        prepared = self.configuration.prepare(what.configuration)
        for path in prepared.left_out:
            self.tell(
                events.warning(
                    "SETTING_CANNOT_CHANGE", f"`{path}` cannot change any more in this session; the rest is applied."
                )
            )
        if prepared.session.keys() == {"type"} and prepared.left_out:
            self.ledger.settle(what.configures)
            return
        event_id = self.send(lambda event_id: realtime.session_update(prepared.session, event_id), "configure")
        if any(self._waited(seq) for seq in what.configures):
            self.counters.release_latency(now - self.turn.since)
        self.configuration.sent(Update(event_id, prepared.session, what.configures, now))
        self.ledger.send(what.configures)

    def _waited(self, seq: int) -> bool:
        """True when the request came before the turn was last freed, so that its end is what let it go."""
        request = self.ledger.get(seq)
        return self.configured and request is not None and request.accepted_at < self.turn.since

    def _send_response(self, what: Sendable, now: float) -> None:
        if what.response is None:
            return
        overrides = what.response.overrides
        event_id = f"{self.session[:12]}.respond.{self._sent_events + 1}"
        # Raises before anything is sent, should the slot not be free.
        self.turn.request_sent(ResponseRequest(event_id, what.responds, now, self.ledger.sent()))
        self.send(lambda event_id: realtime.response_create(overrides, event_id), "respond")
        self.ledger.send(what.responds)

    def _changed(self, now: float) -> None:
        """Note whether the turn record changed, and since when the turn is free."""
        turn, update = self.turn, self.configuration.update
        free = turn.free_for_configuration and not turn.user_speaking and update is None
        self._free_since = (self._free_since if self._free_since is not None else now) if free else None
        snapshot = (
            turn.slot,
            turn.response_id,
            turn.user_speaking,
            self.calls.open,
            update.configures if update is not None else (),
            self.ledger.last_seq,
            self.ledger.open(Kind.CONFIGURATION),
            self.ledger.open(Kind.RESPONSE),
            self._dropped_release,
        )
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._version += 1
            self._out.turn_changed = True
