"""P13: what becomes of a conversation whose connection to the upstream is lost.

The judge takes the upstream's records and the client's for what was said and heard, and holds against them what the
gateway replays on the next connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tests.simulation.history import AUDIO_GONE, Where
from tests.simulation.judge.configuration import Config
from tests.simulation.judge.facts import REQUEST_KEY, Event, Facts
from tests.simulation.judge.violation import Violation

_CORRECTIONS = ("conversation.item.deleted", "conversation.item.truncated")


def check(facts: Facts) -> Iterator[Violation]:
    for place, there in facts.exchanges:
        yield from _exchanged(facts, place, there)
    if not facts.losses:
        return
    ends = [*facts.losses[1:], len(facts.outcome.history)]
    for begin, end in zip(facts.losses, ends, strict=True):
        yield from _replayed(facts, begin, end)
    yield from _goes_on(facts)
    yield from _configuration(facts)
    yield from _speech(facts)


def _replayed(facts: Facts, begin: int, end: int) -> Iterator[Violation]:
    """What is replayed is what was said and heard before, all of it, in order."""
    replays = [(place, item) for place, item in facts.replays if begin < place < end]
    at = facts.at(begin)
    said = {
        message["content"]
        for place, message in facts.of_type("ConversationText")
        if message["role"] == "assistant" and place < end
    }
    calls: set[str] = set()
    for place, item in replays:
        if item["type"] == "function_call":
            calls.add(item["call_id"])
        elif item["type"] == "function_call_output" and item["call_id"] not in calls:
            yield Violation("P13", facts.at(place), f"the output of {item['call_id']} is replayed without its call")
        elif item.get("role") == "assistant" and not _was_heard(facts, item, said):
            yield Violation("P13", facts.at(place), f"{_text(item)!r} is replayed, which nobody has heard")
    if not replays and not _is_restored(facts, begin, end):
        return
    there = [item["id"] for _, item in replays]
    known = [
        (item.sent or item.committed or 0, name)
        for name, item in facts.items.items()
        if item.known is not None and item.known < begin and not item.idle
    ]
    for _, name in known:
        if name not in there:
            yield Violation("P13", at, f"item {name} is not replayed")
    sent = [name for place, name in sorted(known) if facts.items[name].sent is not None and name in there]
    if sent != [name for name in there if name in set(sent)]:
        yield Violation("P13", at, "items are replayed in another order")
    told_calls = {
        call["id"]
        for place, message in facts.of_type("FunctionCallRequest")
        if place < begin
        for call in message["functions"]
    }
    for call_id in told_calls - calls:
        yield Violation("P13", at, f"call {call_id} is not replayed")


def _exchanged(facts: Facts, place: int, there: Event) -> Iterator[Violation]:
    """The next connection has everything that was said and heard, in order, and the configuration in force."""
    at = facts.at(place)
    confirmed = None
    for _, where, what in facts.outcome.history[:place]:
        if (where is Where.GATEWAY_GOT and what["type"] == "session.updated") or where is Where.UPSTREAM_EXCHANGED:
            confirmed = Config.of(what["session"])
    if Config.of(there["session"]) != confirmed:
        yield Violation("P13", at, f"the next connection has another configuration than {confirmed}")
    ids = [item["id"] for item in there["items"]]
    known = {
        name: item
        for name, item in facts.items.items()
        if item.known is not None and item.known < place and not item.idle
    }
    for name in known:
        if name not in ids:
            yield Violation("P13", at, f"the next connection does not have item {name}")
    sent = sorted((item.sent, name) for name, item in known.items() if item.sent is not None and name in ids)
    if [name for _, name in sent] != [name for name in ids if name in {name for _, name in sent}]:
        yield Violation("P13", at, "the next connection has the items in another order")
    said = [message["content"] for _, message in facts.of_type("ConversationText") if message["role"] == "assistant"]
    for item in there["items"]:
        if (
            item.get("role") == "assistant"
            and not _was_heard(facts, item, said)
            and not _is_corrected(facts, place, item["id"])
        ):
            yield Violation("P13", at, f"{_text(item)!r} is on the next connection, which nobody has heard")


def _is_corrected(facts: Facts, place: int, name: str) -> bool:
    """Whether the item was cut or deleted on the next connection before a response began there. That was sent on it
    before the exchange."""
    for _, where, what in facts.outcome.history[place + 1 :]:
        if where is Where.GATEWAY_GOT:
            if what["type"] in _CORRECTIONS and what["item_id"] == name:
                return True
            if what["type"] == "response.created":
                break
    return False


def _is_restored(facts: Facts, begin: int, end: int) -> bool:
    """Whether a response or an update was asked for on this connection, or an item sent that is not a replay."""
    sent = [
        *(create.sent for create in facts.creates.values()),
        *(item.sent for item in facts.items.values() if item.sent is not None),
    ]
    return any(begin < place < end for place in sent)


def _was_heard(facts: Facts, item: Event, said: Collection[str]) -> bool:
    """Whether the client was told of this text. What waits for one that is gone will be heard."""
    goes = facts.outcome.script.returns
    return goes or any(text.startswith(_text(item)) for text in said)


def _text(item: Event) -> str:
    return str(item["content"][0].get("text"))


def _goes_on(facts: Facts) -> Iterator[Violation]:
    """After a reply that was cut off in the middle comes the rest of it, unless somebody interrupts."""
    cut_off = {
        place: message
        for place, message in facts.of_type("ConversationText")
        if message["role"] == "assistant" and place - 1 in facts.losses
    }
    interruptions = [place for place, _ in facts.of_type("UserStartedSpeaking", "AgentAudioDone")]
    for place, message in cut_off.items():
        create = next((create for create in facts.creates.values() if create.sent > place), None)
        if create is None or create.goes_on or create.words is not None:
            continue
        if not any(place < other < create.sent for other in interruptions):
            yield Violation("P13", facts.at(create.sent), f"no rest follows {message['content']!r}")


def _configuration(facts: Facts) -> Iterator[Violation]:
    """The configuration that is restored is the one that was last confirmed."""
    confirmed: Config | None = None
    lost = False
    for at, where, what in facts.outcome.history:
        if where is Where.UPSTREAM_LOST:
            lost = confirmed is not None
        elif where is Where.UPSTREAM_EXCHANGED:
            confirmed = Config.of(what["session"])
        elif where is Where.GATEWAY_GOT and what["type"] == "session.updated":
            config = Config.of(what["session"])
            if lost and config != confirmed:
                yield Violation("P13", at, f"{config} is restored instead of {confirmed}")
            confirmed, lost = config, False
        elif where is Where.GATEWAY_SENT and what["type"] == "response.create" and lost:
            yield Violation("P13", at, f"{what['response']['metadata'][REQUEST_KEY]} leaves before anything else")


def _speech(facts: Facts) -> Iterator[Violation]:
    """Speech that had begun when the connection was lost is heard by the next one, and not announced again. What only a
    gateway had that was killed cannot be."""
    speaking = resumed = connected = False
    # Beginnings of speech that the client was not told of yet.
    untold = 0
    # Somebody spoke while there was no connection.
    unheard = False
    for place, (at, where, what) in enumerate(facts.outcome.history):
        kind = what.get("type") if isinstance(what, dict) else None
        if where is Where.UPSTREAM_LOST:
            if what == AUDIO_GONE:
                speaking = resumed = unheard = False
            resumed |= speaking
            connected = False
        elif where is Where.GATEWAY_GOT and kind == "session.created":
            connected = True
        elif where is Where.CLIENT_SPOKE and place > facts.losses[0] and not connected:
            unheard = True
        elif where is Where.GATEWAY_GOT and kind == "input_audio_buffer.speech_started":
            untold += not resumed
            speaking = True
        elif where is Where.GATEWAY_GOT and kind == "input_audio_buffer.committed":
            speaking = resumed = unheard = False
        elif where is Where.CLIENT_GOT and kind == "UserStartedSpeaking":
            # A client that was gone may hear of it late, but once.
            if resumed and not untold:
                yield Violation("P13", at, "speech that went on is announced again")
            untold = max(untold - 1, 0)
    configured = bool(facts.of_type("SettingsApplied"))
    if (resumed or unheard) and configured and not facts.outcome.cut_short:
        yield Violation("P13", facts.outcome.history[-1].at, "speech that had begun was not heard to its end")
