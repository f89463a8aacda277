"""The journal of one conversation (`gateway.continuity.journal`): writes down what there is, and takes up what another
gateway has written.

What was under way at the other gateway waits again here, as after the loss of an upstream connection
(`gateway.conversation.upstream_legs`): the new owner's first connection is the next one of the conversation.

Parts            | what they are
``about``        | dialect, times, counts, what is known of the client
``config``       | what the upstream has confirmed
``settings``     | the newest ``Settings``
``client``       | the client's connections, and what has arrived there
``audio``        | formats of the client's audio
``turn``         | what is under way of the user's turn
``reply``        | the reply that is running, as far as it was heard
``replies``      | what the current response carries out, and what waits to be asked for again
``transcripts``  | messages that wait for the transcripts of earlier turns
``unheard``      | what was heard of messages that the client has not played to their end
``calls``        | open function calls
``request:<n>``  | an open request
``item:<id>``    | an item of the transcript
``message:<n>``  | a message that was sent to the client

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pybase64

from gateway.audio.playout import heard_words
from gateway.continuity.journal import VERSION, Changes, Journal
from gateway.continuity.sent import Sent
from gateway.conversation.client_legs import ClientLegs
from gateway.conversation.context import Context
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.conversation.user_turns import UserTurns
from gateway.downlink.reply import LostReply
from gateway.turn.requests import Kind, Request
from turngate.protocol.messages import Slot, Usage

_ITEM, _REQUEST, _MESSAGE = "item:", "request:", "message:"


@dataclass(frozen=True, slots=True)
class Handlers:
    """The parts of one conversation whose state is written down."""

    client: ClientHandler
    client_legs: ClientLegs
    translators: CommandHandler
    turns: UserTurns
    failed_replies: FailedReplies
    upstream_legs: UpstreamLegs


class ConversationJournal:
    """Writes down one conversation, and takes one up."""

    def __init__(self, context: Context, handlers: Handlers, began_at: float) -> None:
        """``began_at`` is when the session began, in seconds since 1970."""
        self._context = context
        self._handlers = handlers
        self._began_at = began_at
        self._journal = Journal()
        #: The number of the last message that was written, and that of the oldest that is still there.
        self._messages, self._oldest_message = 0, 1
        #: What was noted last of what must not be lost.
        self._urgent: tuple[Any, ...] = ()
        #: The large parts that were written, by name; compared by identity.
        self._written: dict[str, Any] = {}
        context.transcript.journal()

    @property
    def _sent(self) -> Sent:
        sent = self._handlers.client_legs.sent
        assert sent is not None
        return sent

    def lost(self) -> None:
        """What was written is not there any more."""
        self._journal.lost()

    def note_change(self) -> None:
        """Something has happened: note in the effects that it is to be written. With the gateway goes what is not: a
        request that was accepted, a call that was told; and what was answered would be answered again."""
        context = self._context
        urgent = (context.requests.last_seq, context.requests.settled, context.turn.slot, context.calls.open)
        context.out.journal_changed = True
        context.out.journal_urgent |= urgent != self._urgent
        self._urgent = urgent

    def changes(self, now: float, *, due: bool = False) -> Changes | None:
        """The next entry of the journal; None if nothing has changed and none is ``due``."""
        return self._changes(now, last=False, due=due)

    def last(self, now: float) -> Changes:
        """The whole journal, for a gateway that goes on with the conversation: with the audio of which there is no
        text, which is not kept here any more; and of a reply only what the client has played."""
        self._journal.lost()
        changes = self._changes(now, last=True, due=True)
        assert changes is not None
        return changes

    def _changes(self, now: float, *, last: bool, due: bool) -> Changes | None:
        context, whole = self._context, self._journal.whole
        items, gone_items = context.transcript.changed(everything=whole, audio=last)
        large = {_ITEM + name: item for name, item in items.items()} | self._rarely_changed(whole=whole)
        gone = [_ITEM + name for name in gone_items]
        sent = self._sent
        large |= {f"{_MESSAGE}{number}": message for number, message in sent.numbered(0 if whole else self._messages)}
        oldest = max(sent.count - sent.limit + 1, 1)
        gone += [f"{_MESSAGE}{number}" for number in range(self._oldest_message, oldest)]
        self._messages, self._oldest_message = sent.count, oldest
        return self._journal.changes(self._small(now, last=last), large, tuple(gone), due=due)

    def _rarely_changed(self, *, whole: bool) -> dict[str, Any]:
        """The configuration and the Settings, where they are others than those that were written."""
        config, client = self._context.upstream_config, self._handlers.client
        found = {"config": (config.confirmed, config.journaled), "settings": (client.newest_settings, None)}
        changed = {name: one for name, one in found.items() if whole or self._written.get(name) is not one[0]}
        self._written = {name: one[0] for name, one in found.items()}
        return {name: what if build is None else build() for name, (what, build) in changed.items()}

    # --- what changes

    def _small(self, now: float, *, last: bool) -> dict[str, Any]:
        context, handlers = self._context, self._handlers
        turn = handlers.turns.journaled()
        if last:
            turn["speech"] = pybase64.b64encode_as_string(handlers.client.user_audio.unsent())
        return {
            "about": {
                "version": VERSION,
                "dialect": context.dialect.name,
                "latency_reports": context.limits.latency_reports,
                "began_at": self._began_at,
                "configured": context.configured,
                "last_seq": context.requests.last_seq,
                "sent_events": context.sent_events,
                "history": context.downlink.wording.history,
                "audio_ms": int(context.downlink.playout.total_ms),
                "upstream_legs": handlers.upstream_legs.count,
                "usage": context.used.total and context.used.total.model_dump(),
                **handlers.client.journaled(),
            },
            "client": handlers.client_legs.journaled(),
            "audio": handlers.client.user_audio.journaled(),
            "turn": turn,
            "reply": self._reply(now, played_only=last or handlers.client_legs.parked),
            "replies": handlers.failed_replies.journaled(),
            "transcripts": context.downlink.user.waiting,
            "unheard": self._unheard(now) if last or handlers.client_legs.parked else {},
            "calls": context.calls.journaled(),
        } | {f"{_REQUEST}{one.seq}": self._request(one) for one in self._wanted_requests()}

    def _reply(self, now: float, *, played_only: bool) -> dict[str, Any] | None:
        """The newest reply, if the client has not had all of it. A client that is there has what was sent to it, or
        will play it. ``played_only``: what it has not played is lost, unless it has arrived for sure."""
        context = self._context
        reply = context.downlink.replies.newest
        if reply is None or not reply.default or reply.cut or reply.lost:
            return None
        unplayed = {cut.item_id: cut for cut in context.downlink.playout.unplayed(now)} if played_only else {}
        sent = self._sent
        if reply.over:
            if not unplayed.keys() & reply.sounded_items or (reply.closed and sent.has_reply):
                return None
        elif reply.closed or context.turn.slot is not Slot.ACTIVE:
            # It is being cancelled.
            return None
        heard = {}
        for item_id in context.transcript.messages_of(reply.id):
            cut = unplayed.get(item_id)
            if cut is not None:
                heard[item_id] = heard_words(context.transcript.text_of(item_id), cut)
            elif reply.over:
                heard[item_id] = context.transcript.text_of(item_id)
            else:
                heard[item_id] = context.downlink.heard_of(item_id)
        legs = self._handlers.client_legs
        return {
            "id": reply.id,
            "started": reply.started and sent.reply_start <= legs.last_sent,
            "called": bool(reply.calls),
            "heard": heard,
            "told": [item_id for item_id in heard if legs.has_told(item_id)],
            # Messages before are those of an earlier reply, whose text the client gets.
            "start": sent.reply_start if reply.started else sent.count + 1,
        }

    def _unheard(self, now: float) -> dict[str, str]:
        """What was heard of the items that the client has not played to their end, unless they have arrived for
        sure."""
        context, newest = self._context, self._context.downlink.replies.newest
        if newest is None or (newest.closed and self._sent.has_reply):
            return {}
        return {
            cut.item_id: heard_words(context.transcript.text_of(cut.item_id), cut)
            for cut in context.downlink.playout.unplayed(now)
        }

    def _wanted_requests(self) -> list[Request]:
        """The open requests, but for those of a response that is cancelled as soon as it begins."""
        turn = self._context.turn
        create = turn.pending_create
        unwanted = create.responds if create is not None and turn.cancel_next else ()
        return [request for request in self._context.requests if request.seq not in unwanted]

    def _request(self, request: Request) -> dict[str, Any]:
        held = self._handlers.translators.held_items()
        # Items that were not sent are made again.
        made = request.translated and not request.unacknowledged & held
        return {
            "kind": request.kind.value,
            "message": request.message,
            "acknowledgement": request.acknowledgement,
            "repeated": request.repeated,
            "own": request.own,
            "exclusive": request.exclusive,
            "continues": request.continues,
            "again": request.again,
            "alone": request.alone,
            "translated": made,
            "items_known": request.items_known,
            "unacknowledged": sorted(request.unacknowledged) if made else [],
            "traceparent": request.traceparent,
        }

    # --- taking it up

    def take_up(self, parts: Mapping[str, Any], now: float) -> None:
        """Go on with the conversation that another gateway has written down: its client is gone, and may return."""
        context, handlers = self._context, self._handlers
        about, turn = parts["about"], parts["turn"]
        context.configured = about["configured"]
        context.take_up(about["sent_events"])
        # A gateway of an earlier version has not counted it.
        if (used := about.get("usage")) is not None:
            context.used.total = Usage.model_validate(used)
        if context.configured:
            context.turn.configured(now)
            context.upstream_config.take_up(parts["config"])
        context.downlink.wording.show_history(about["history"])
        context.downlink.playout.total_ms = about["audio_ms"]
        context.transcript.take_up([part for name, part in parts.items() if name.startswith(_ITEM)])
        context.requests.take_up(_requests(parts, now), about["last_seq"])
        context.calls.take_up(parts["calls"], now)
        handlers.upstream_legs.take_up(about["upstream_legs"], now)
        handlers.client.take_up(about, parts["settings"], now)
        speech = pybase64.b64decode(turn.get("speech", ""))
        handlers.client.user_audio.take_up(parts["audio"], speech, now)
        handlers.client_legs.take_up(parts["client"], _messages(parts), now)
        handlers.turns.take_up(turn, now, has_audio=bool(speech))
        # Nobody else will transcribe the earlier turns.
        context.tell(*parts["transcripts"])
        for item_id, heard in parts["unheard"].items():
            context.transcript.cut(item_id, heard)
        handlers.failed_replies.take_up(parts["replies"], now)
        self._take_up_reply(parts["reply"], now)
        handlers.translators.advance(now)
        context.publish([request.seq for request in context.requests], now)

    def _take_up_reply(self, journaled: Mapping[str, Any] | None, now: float) -> None:
        context, handlers = self._context, self._handlers
        continued = any(request.continues for request in context.requests)
        reply = LostReply("", started=True, called=False, heard={}) if continued else None
        if journaled is not None:
            reply = LostReply(journaled["id"], journaled["started"], journaled["called"], journaled["heard"])
        context.downlink.take_up(reply, context.transcript.calls(), now)
        if journaled is None or reply is None:
            return
        for item_id, heard in reply.heard.items():
            context.transcript.cut(item_id, heard)
            if heard and item_id not in journaled["told"]:
                context.tell(*context.downlink.wording.text("assistant", heard))
        handlers.failed_replies.lost(reply, now)


def _messages(parts: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The messages to the client, by number; of a reply that is gone on with only those that were sent."""
    numbered = [(int(name.removeprefix(_MESSAGE)), one) for name, one in parts.items() if name.startswith(_MESSAGE)]
    reply, sent = parts["reply"], parts["client"]["sent"]
    if reply is None:
        return numbered
    return [
        (number, message)
        for number, message in numbered
        if number <= sent or number < reply["start"] or not _belongs_to_reply(message)
    ]


def _belongs_to_reply(message: Mapping[str, Any]) -> bool:
    kind = message["type"]
    return kind in _REPLY or (kind in ("ConversationText", "History") and message.get("role") == "assistant")


def _requests(parts: Mapping[str, Any], now: float) -> list[Request]:
    return [
        Request(
            int(name.removeprefix(_REQUEST)),
            Kind(part["kind"]),
            part["message"],
            now,
            size=len(orjson.dumps(part["message"])),
            published_at=now,
            **{field: part[field] for field in _FIELDS},
            unacknowledged=set(part["unacknowledged"]),
            # A gateway of an earlier version has not written it.
            traceparent=part.get("traceparent", ""),
        )
        for name, part in parts.items()
        if name.startswith(_REQUEST)
    ]


#: Messages about a reply, but for its text.
_REPLY = frozenset({"AgentStartedSpeaking", "AgentAudioDone", "AgentDone"})
#: The fields of a request that are taken up as they are.
_FIELDS = (
    *("acknowledgement", "repeated", "own", "exclusive", "continues", "again"),
    *("alone", "translated", "items_known"),
)
