"""A connection to the upstream is replaced while it works."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.conversation.conversation import Conversation
from gateway.conversation.counters import Counters
from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import COMPONENT
from tests.unit.gateway.bench import SETTINGS, Bench, Out, committed, effective, types
from turngate.protocol.messages import Slot

LIMITS = Limits(reconnect=30.0, rollover=3_000.0)


class Rolling(Bench):
    """A bench with a next connection."""

    def __init__(self, limits: Limits = LIMITS, *, unix_offset: float = 0.0, **session: Any) -> None:
        self.counted = Counters()
        super().__init__(COMPONENT, limits, self.counted)
        self.conversation = Conversation(
            "session-0001", "gw", COMPONENT, limits, self.now, self.counted, unix_offset=unix_offset
        )
        self._session = session

    def next(self, kind: str, **fields: Any) -> Out:
        self.conversation.next_upstream_frame(orjson.dumps({"type": kind, "event_id": "e", **fields}), self.now)
        return self._drain()

    def prepared(self) -> list[dict[str, Any]]:
        """The next connection has the configuration; the items that are sent on it."""
        (update,) = self.next("session.created", session={}).to_next
        assert update["type"] == "session.update"
        return self.next("session.updated", session=effective()).to_next

    def added(self, *events: dict[str, Any]) -> Out:
        """The next connection has added these items."""
        out = self.out
        for event in events:
            out = self.next("conversation.item.added", item=event["item"])
        return out


def rolling(limits: Limits = LIMITS) -> Rolling:
    bench = Rolling(limits)
    bench.configured()
    bench.now = 3_000.0
    assert bench.wait(0).prepare_upstream
    return bench


def words(bench: Rolling, response_id: str, item_id: str, text: str) -> None:
    """The agent says this, a second long."""
    delta = {"response_id": response_id, "item_id": item_id, "delta": text}
    bench.event("response.output_audio_transcript.delta", **delta)
    bench.audio(response_id, item_id, 1_000)


def answered(bench: Rolling, seq: int, response_id: str = "resp_1") -> None:
    """A text turn, and its reply."""
    bench.created(response_id, bench.requested(seq))
    words(bench, response_id, f"a{seq}", "Hello there")
    bench.done(response_id)


def test_the_next_connection_takes_over_at_a_quiet_moment() -> None:
    bench = Rolling()
    bench.configured()
    answered(bench, 2)
    bench.conversation.client_audio(b"\1\2", bench.now)
    bench.now = 3_000.0
    assert bench.wait(0).prepare_upstream
    items = bench.prepared()
    assert [event["item"]["id"] for event in items] == ["item_2", "a2"]
    assert not bench.added(items[0]).exchange_upstream
    out = bench.added(items[1])
    assert out.exchange_upstream
    assert types(out.to_upstream) == ["input_audio_buffer.append"], "what was not committed"
    assert (out.messages, bench.counted.rolled_over) == ([], 1)
    assert bench.wait(2_999).prepare_upstream is False
    assert bench.wait(1).prepare_upstream


def test_without_items_it_takes_over_at_once() -> None:
    bench = rolling()
    (update,) = bench.next("session.created", session={}).to_next
    assert update["session"]["type"] == "realtime"
    assert bench.next("session.updated", session={}).exchange_upstream


def test_it_waits_for_the_end_of_a_response_and_catches_up() -> None:
    bench = rolling()
    event_id = bench.requested(2)
    bench.created("resp_1", event_id)
    items = bench.prepared()
    assert [event["item"]["id"] for event in items] == ["item_2"]
    assert not bench.added(*items).exchange_upstream
    bench.event("response.output_audio_transcript.delta", response_id="resp_1", item_id="a2", delta="Hello")
    bench.audio("resp_1", "a2", 100)
    (more,) = bench.done("resp_1").to_next
    assert (more["item"]["id"], more.get("previous_item_id")) == ("a2", None)
    assert bench.added(more).exchange_upstream


@pytest.mark.parametrize("what", ["speech", "promise", "update", "item", "held", "commit"])
def test_nothing_may_be_under_way(what: str) -> None:
    bench = rolling()
    match what:
        case "speech":
            bench.event("input_audio_buffer.speech_started", item_id="x", audio_start_ms=0)
        case "promise":
            committed(bench)
        case "update":
            bench.say(type="UpdatePrompt", prompt="?")
            bench.translated(2)
            bench.release((2,), append="?")
        case "item":
            bench.say(type="InjectUserMessage", content="Hi")
            bench.translated(2, "item_2")
        case "held":
            bench.created("resp_1")
            bench.say(type="InjectUserMessage", content="Hi")
            bench.translated(2, "item_2")
        case "commit":
            bench.event("input_audio_buffer.speech_started", item_id="x", audio_start_ms=0)
            bench.event("input_audio_buffer.speech_stopped", item_id="x", audio_end_ms=9)
    items = bench.prepared()
    assert not bench.added(*items).exchange_upstream
    assert not bench.out.exchange_upstream


@pytest.mark.parametrize("comes", ["completed", "failed", ""])
def test_it_waits_for_what_the_user_said(comes: str) -> None:
    """The next connection transcribes nothing of this one; a transcript that does not come is waited for for 3 s."""
    bench = rolling()
    committed(bench)
    bench.created("resp_1")
    bench.done("resp_1")
    items = bench.prepared()
    assert not bench.added(*items).exchange_upstream
    if comes:
        told: dict[str, Any] = {"transcript": "Is it late"} if comes == "completed" else {"error": {"message": "no"}}
        kind = f"conversation.item.input_audio_transcription.{comes}"
        out = bench.event(kind, item_id="audio_1", content_index=0, **told)
    else:
        assert bench.conversation.deadline() == bench.now + 3
        assert not bench.wait(2.9).exchange_upstream
        out = bench.wait(0.1)
    # What was said is put there, if it is known.
    said = [event["item"]["content"][0]["text"] for event in out.to_next]
    assert said == (["Is it late"] if comes == "completed" else [])
    assert (bench.added(*out.to_next) if said else out).exchange_upstream


def test_what_changes_meanwhile_is_replaced_in_its_place() -> None:
    bench = Rolling()
    bench.configured()
    bench.conversation.client_audio(bytes(48 * 500), bench.now)
    committed(bench, "audio_1")
    bench.created("resp_1")
    words(bench, "resp_1", "a1", "Hello there friend")
    bench.now = 3_000.0
    assert bench.wait(0).prepare_upstream
    items = bench.prepared()
    bench.added(*items)
    bench.event(
        "conversation.item.input_audio_transcription.completed", item_id="audio_1", content_index=0, transcript="Hi"
    )
    gone, first = bench.done("resp_1").to_next
    assert (gone["type"], gone["item_id"]) == ("conversation.item.delete", "audio_1")
    assert (first["item"]["id"], first["previous_item_id"]) == ("audio_1", "root")
    assert bench.added(first).exchange_upstream


def test_a_configuration_that_changed_meanwhile_is_restored_again() -> None:
    bench = rolling()
    bench.say(type="UpdatePrompt", prompt="More.")
    bench.translated(2)
    bench.release((2,), append="More.")
    bench.prepared()
    (update,) = bench.event("session.updated", session=effective(instructions="Be kind.\n\nMore.")).to_next
    assert update["session"]["instructions"] == "Be kind.\n\nMore."
    assert bench.next("session.updated", session=effective()).exchange_upstream


def test_a_field_that_was_reset_meanwhile_is_reset_there_too() -> None:
    bench = rolling()
    for seq, speed in ((2, 1.2), (3, 1.0)):
        if seq == 3:
            bench.next("session.created", session={})
        bench.say(type="UpdatePrompt", prompt="?")
        bench.translated(seq)
        bench.release((seq,), name=f"r{seq}", audio={"output": {"speed": speed}})
        bench.event("session.updated", session=effective(audio={"output": {"speed": speed}}))
    (update,) = bench.next("session.updated", session=effective()).to_next
    assert update["session"]["audio"]["output"]["speed"] == 1.0


def test_items_that_it_refuses_are_left_out() -> None:
    bench = Rolling()
    bench.configured()
    answered(bench, 2)
    bench.now = 3_000.0
    bench.wait(0)
    first, second = bench.prepared()
    bench.added(first)
    error = {"type": "invalid_request_error", "code": "x", "message": "no", "event_id": second["event_id"]}
    assert bench.next("error", error=error).exchange_upstream


def test_one_that_refuses_the_configuration_is_dropped_and_tried_again() -> None:
    bench = rolling()
    (update,) = bench.next("session.created", session={}).to_next
    error = {"type": "invalid_request_error", "code": "x", "message": "no", "event_id": update["event_id"]}
    assert bench.next("error", error=error).drop_next
    assert not bench.wait(59).prepare_upstream
    assert bench.wait(1).prepare_upstream


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_one_that_does_not_answer_is_given_up_and_tried_again(answers: int) -> None:
    bench = rolling()
    answered(bench, 2)
    if answers:
        assert bench.next("session.created", session={}).to_next
    if answers == 2:
        assert bench.next("session.updated", session=effective()).to_next
    assert not bench.wait(59).drop_next
    assert bench.wait(1).drop_next
    assert not bench.wait(59).prepare_upstream
    assert bench.wait(1).prepare_upstream


def test_one_that_has_answered_waits_for_a_quiet_moment() -> None:
    bench = rolling()
    answered(bench, 2)
    added = bench.prepared()
    bench.created("resp_2", bench.requested(3))
    bench.added(*added)
    for _ in range(25):
        words(bench, "resp_2", "a3", "On and on")
        assert not bench.wait(5).drop_next
    assert bench.done("resp_2").to_next, "it is brought up to date"


def test_one_that_cannot_be_had_is_tried_again() -> None:
    bench = rolling()
    bench.conversation.next_upstream_lost(bench.now)
    bench.conversation.next_upstream_lost(bench.now)
    assert bench.wait(60).prepare_upstream


def test_it_is_not_waited_for_when_this_connection_is_lost() -> None:
    bench = rolling()
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), bench.now)
    out = bench._drain()
    assert (out.renew_upstream, out.drop_next) == (True, True)
    assert bench.wait(60).prepare_upstream is False, "there is no connection to replace"


def test_what_is_not_an_event_changes_nothing() -> None:
    bench = rolling()
    bench.conversation.next_upstream_frame(b"{", bench.now)
    bench.conversation.next_upstream_frame(b'{"type":"session.updated","session":1}', bench.now)
    for kind in ("response.output_audio.delta", "rate_limits.updated"):
        bench.next(kind, response_id="r", item_id="i", delta="AAAA")
    assert bench.counted.malformed_events >= 1
    assert bench.conversation.context.turn.slot is Slot.IDLE


def test_an_interruption_after_it_puts_what_was_heard_in_the_place_of_the_text() -> None:
    bench = rolling()
    answered(bench, 2)
    bench.added(*bench.prepared())
    assert bench.counted.rolled_over == 1
    bench.now += 0.6
    out = bench.event("input_audio_buffer.speech_started", item_id="x", audio_start_ms=0)
    gone, again = out.to_upstream
    assert (gone["type"], gone["item_id"]) == ("conversation.item.delete", "a2")
    assert (again["previous_item_id"], again["item"]["content"][0]["text"]) == ("item_2", "Hello")


def test_of_what_was_not_heard_nothing_is_left() -> None:
    bench = rolling()
    answered(bench, 2)
    bench.added(*bench.prepared())
    out = bench.event("input_audio_buffer.speech_started", item_id="x", audio_start_ms=0)
    assert types(out.to_upstream) == ["conversation.item.delete"]


@pytest.mark.parametrize(
    ("rollover", "expires_in", "at"),
    [(3_000.0, 3_600, 3_000.0), (3_000.0, 600, 420.0), (3_000.0, 200, 100.0), (10.0, 3_600, 10.0)],
)
def test_it_comes_before_the_end_of_the_upstreams_session(rollover: float, expires_in: int, at: float) -> None:
    bench = Rolling(Limits(rollover=rollover), unix_offset=1_000_000.0)
    bench.event("session.created", session={"expires_at": 1_000_000 + expires_in})
    bench.say(**SETTINGS)
    bench.translated(1)
    bench.release((1,))
    bench.event("session.updated", session=effective())
    bench.now = at - 1
    assert not bench.wait(0).prepare_upstream
    assert bench.wait(1).prepare_upstream


def test_never_is_never() -> None:
    bench = Rolling(Limits())
    bench.configured()
    assert not bench.wait(100_000).prepare_upstream
