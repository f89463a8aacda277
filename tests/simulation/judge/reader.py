"""Reads a history: its facts."""

from __future__ import annotations

from tests.simulation.history import AUDIO_GONE, MOVED, Entry, Said, Where
from tests.simulation.judge.facts import REQUEST_KEY, Create, Event, Facts, Item, Request, Response, Update, is_aside
from tests.simulation.line import TICK, Outcome
from tests.simulation.script import Do

#: Replies in the very instant of a message that mean: not accepted.
_REFUSALS = ("Error", "InjectionRefused")
_REFUSING_WARNINGS = ("TOO_MANY_REQUESTS", "UNKNOWN_FUNCTION_CALL", "FORCE_END_TURN_UNSUPPORTED")


def _is_of_a_reply(message: Event) -> bool:
    """Whether the client has something of a reply, or was told that it gets nothing more."""
    return (
        message["type"] in ("AgentStartedSpeaking", "FunctionCallRequest")
        or (message["type"] == "ConversationText" and message["role"] == "assistant")
        or message.get("code") == "REPLY_STALLED"
    )


def read(outcome: Outcome) -> Facts:
    """The facts of one session."""
    return _Reader(outcome).facts


class _Reader:
    def __init__(self, outcome: Outcome) -> None:
        self.facts = Facts(outcome)
        self._answers: list[Update] = []
        #: Where the client was last lost.
        self._client_lost = 0
        #: When another gateway went on, until everything of that moment is read: the client is told then what it has
        #: missed.
        self._moved: float | None = None
        #: When a connection was last lost, and the responses that were lost with it.
        self._lost_at = -1.0
        self._lost: list[Response] = []
        self._began: dict[str, int] = {}
        self._speaking = False
        self._idle: str | None = None
        #: Commits of the gateway that have reached the upstream, until it answers; and the items that came of them.
        self._commits: set[str] = set()
        self._by_hand: set[str] = set()
        self._replies: set[int] = set()
        for place, entry in enumerate(outcome.history):
            if self._moved is not None and entry.at > self._moved:
                self._unheard()
            reader = _READERS.get((entry.where, entry.what.get("type", "") if isinstance(entry.what, dict) else ""))
            if reader is not None:
                if not is_aside(entry.what):
                    reader(self, place, entry.what)
            elif entry.where is Where.CLIENT_GOT:
                self.facts.told.append((place, entry.what))
                if id(entry.what) in self._replies:
                    self.facts.replies.add(place)
                if entry.at == self._lost_at and entry.what.get("role") == "assistant":
                    # What was heard of a reply that is lost a second time is told now: it had begun before.
                    for response in self._lost:
                        response.heard = True
            elif entry.where is Where.CLIENT_SENT:
                self._said(place, entry)
            elif entry.where is Where.UPSTREAM_BEGAN:
                self._began[entry.what["id"]] = place
            elif entry.where is Where.UPSTREAM_LOST:
                self.facts.losses.append(place)
                self._leave(place)
                self._lost_at = entry.at
                self._speaking &= entry.what != AUDIO_GONE
            elif entry.where is Where.UPSTREAM_EXCHANGED:
                self.facts.exchanges.append((place, entry.what))
                self._leave(place)
            elif entry.what == Do.RETURN:
                self._client_lost = place
            elif entry.what == MOVED:
                self._moved = entry.at
        if self._moved is not None:
            self._unheard()

    def _said(self, place: int, entry: Entry) -> None:
        said: Said = entry.what
        self._replies.update(map(id, said.replies))
        refused = any(
            reply["type"] in _REFUSALS or (reply["type"] == "Warning" and reply["code"] in _REFUSING_WARNINGS)
            for reply in said.replies
        )
        self.facts.requests.append(Request(place, entry.at, said.message, not refused))

    def _unheard(self) -> None:
        """Another gateway has gone on: what was said to a client that was gone, and not told now, is lost."""
        self._moved = None
        for response in self.facts.responses.values():
            if response.status == "failed" or (response.cancelled and not response.gave_way):
                # The client is told that in any case; what was cancelled on purpose is wanted by nobody.
                continue
            if response.over is not None and response.over > self._client_lost and response.announced is not None:
                words = {one.words for one in self.facts.creates.values() if one.response is response} - {None}
                told = any(
                    response.announced < at
                    and _is_of_a_reply(message)
                    and (not words or message.get("content") in words)
                    for at, message in self.facts.told
                )
                response.lost, response.heard = response.lost or not told, response.heard or told

    def _leave(self, place: int) -> None:
        """What was under way on the connection does not come to its end."""
        self._lost = []
        for response in self.facts.responses.values():
            if response.over is None and not response.lost:
                response.lost = True
                # One that was cancelled on purpose is wanted by nobody.
                response.heard = response.announced is not None and any(
                    response.announced < at and _is_of_a_reply(message) for at, message in self.facts.told
                )
                response.heard |= response.cancelled and not response.gave_way
                response.done = place if response.done is None else response.done
                self._lost.append(response)
        for update in self.facts.updates.values():
            if update.confirmed is None:
                update.effective, update.lost = None, True
        self._answers.clear()

    def _create_sent(self, place: int, event: Event) -> None:
        self.facts.creates[event["event_id"]] = Create(event, place)

    def _create_received(self, place: int, event: Event) -> None:
        if (create := self.facts.creates.get(event.get("event_id", ""))) is not None:
            create.received = place

    def _cancel_sent(self, place: int, event: Event) -> None:
        if (response := self.facts.responses.get(event.get("response_id", ""))) is not None:
            response.cancelled = True
        if "response_id" not in event:
            for create in self.facts.creates.values():
                create.given_up |= create.refused_at is None and create.announced is None

    def _update_sent(self, place: int, event: Event) -> None:
        self.facts.updates[event["event_id"]] = Update(event, place)

    def _update_received(self, place: int, event: Event) -> None:
        update = self.facts.updates[event["event_id"]]
        update.received = place
        self._answers.append(update)

    def _updated(self, place: int, event: Event) -> None:
        # Answered in order: the update that it is about is the last that came and was not refused.
        self._answers[-1].effective = event["session"]

    def _confirmed(self, place: int, event: Event) -> None:
        for update in self.facts.updates.values():
            if update.effective is not None and update.confirmed is None:
                update.confirmed = place
                return

    def _error(self, place: int, event: Event) -> None:
        about = event["error"]["event_id"]
        if (create := self.facts.creates.get(about)) is not None:
            create.refused = event["error"]
        if (update := self.facts.updates.get(about)) is not None:
            update.refused = event["error"]
        self._commits.discard(about)

    def _error_seen(self, place: int, event: Event) -> None:
        if (create := self.facts.creates.get(event["error"]["event_id"])) is not None:
            create.refused_at = place

    def _created(self, place: int, event: Event) -> None:
        wire = event["response"]
        create = self.facts.creates.get((wire["metadata"] or {}).get(REQUEST_KEY, ""))
        began = create.received if create is not None else self._began[wire["id"]]
        assert began is not None
        response = Response(wire["id"], began, create, created=place)
        self.facts.responses[response.id] = response
        if create is not None:
            create.response = response

    def _done(self, place: int, event: Event) -> None:
        response = self.facts.responses[event["response"]["id"]]
        response.done, response.status = place, event["response"]["status"]
        response.calls = {item["call_id"] for item in event["response"]["output"] if item["type"] == "function_call"}

    def _announced(self, place: int, event: Event) -> None:
        response = self.facts.responses[event["response"]["id"]]
        response.announced = place
        words = response.create.words if response.create is not None else None
        interrupts = any(
            request.message.get("behavior") == "interrupt" and request.message["message"] == words
            for request in self.facts.requests
            if words is not None and request.kind == "InjectAgentMessage"
        )
        response.over_user = self._speaking and not interrupts
        if (create := response.create) is not None:
            create.announced = place
            waited = self.facts.at(place) - self.facts.at(create.sent)
            response.late = create.given_up or waited > self.facts.outcome.plan.limits.reply + TICK

    def _speech_started(self, place: int, event: Event) -> None:
        self._speaking = True

    def _speech_stopped(self, place: int, event: Event) -> None:
        self._speaking = False

    def _over(self, place: int, event: Event) -> None:
        self.facts.responses[event["response"]["id"]].over = place

    def _item_sent(self, place: int, event: Event) -> None:
        # What the gateway says of its own accord has no id until the upstream gives it one.
        item = event["item"]
        name = item.get("id") or event["event_id"]
        if (self.facts.losses or self.facts.exchanges) and (
            name in self.facts.items or item.get("role") == "assistant" or item["type"] == "function_call"
        ):
            self.facts.replays.append((place, item))
            return
        self.facts.items.setdefault(name, Item(event["item"], sent=place))
        self.facts.item_sends[name] += 1

    def _commit_received(self, place: int, event: Event) -> None:
        self._commits.add(event["event_id"])

    def _audio_committed(self, place: int, event: Event) -> None:
        item_id = event["item_id"]
        self.facts.items[item_id] = Item({"id": item_id, "type": "audio"}, idle=item_id == self._idle)
        if self._commits:
            # They are answered at once, so there is one.
            self._commits.pop()
            self._by_hand.add(item_id)

    def _idle_timeout(self, place: int, event: Event) -> None:
        self._idle = event["item_id"]

    def _item_added(self, place: int, event: Event) -> None:
        item = self.facts.items.get(event["item"]["id"])
        if item is not None and item.added is None:
            item.added = place

    def _item_known(self, place: int, event: Event) -> None:
        item = self.facts.items.get(event["item"]["id"])
        if item is not None and item.known is None:
            item.known = place

    def _commit_known(self, place: int, event: Event) -> None:
        self._speaking = False
        item_id = event["item_id"]
        if item_id not in self._by_hand:
            self.facts.commits.append(place)
        self.facts.items[item_id].committed = place


_READERS = {
    (Where.GATEWAY_SENT, "response.create"): _Reader._create_sent,
    (Where.GATEWAY_SENT, "response.cancel"): _Reader._cancel_sent,
    (Where.GATEWAY_SENT, "session.update"): _Reader._update_sent,
    (Where.GATEWAY_SENT, "conversation.item.create"): _Reader._item_sent,
    (Where.UPSTREAM_GOT, "response.create"): _Reader._create_received,
    (Where.UPSTREAM_GOT, "session.update"): _Reader._update_received,
    (Where.UPSTREAM_GOT, "input_audio_buffer.commit"): _Reader._commit_received,
    (Where.UPSTREAM_SENT, "session.updated"): _Reader._updated,
    (Where.UPSTREAM_SENT, "error"): _Reader._error,
    (Where.UPSTREAM_SENT, "response.created"): _Reader._created,
    (Where.UPSTREAM_SENT, "response.done"): _Reader._done,
    (Where.UPSTREAM_SENT, "conversation.item.added"): _Reader._item_added,
    (Where.UPSTREAM_SENT, "input_audio_buffer.committed"): _Reader._audio_committed,
    (Where.UPSTREAM_SENT, "input_audio_buffer.timeout_triggered"): _Reader._idle_timeout,
    (Where.GATEWAY_GOT, "session.updated"): _Reader._confirmed,
    (Where.GATEWAY_GOT, "error"): _Reader._error_seen,
    (Where.GATEWAY_GOT, "response.created"): _Reader._announced,
    (Where.GATEWAY_GOT, "response.done"): _Reader._over,
    (Where.GATEWAY_GOT, "conversation.item.added"): _Reader._item_known,
    (Where.GATEWAY_GOT, "input_audio_buffer.speech_started"): _Reader._speech_started,
    (Where.GATEWAY_GOT, "input_audio_buffer.speech_stopped"): _Reader._speech_stopped,
    (Where.GATEWAY_GOT, "input_audio_buffer.committed"): _Reader._commit_known,
}
