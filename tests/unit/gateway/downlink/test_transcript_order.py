"""Transcripts are told in the order in which the turns ended, whichever arrives first."""

from __future__ import annotations

from gateway.dialect import AGENT, COMPONENT
from gateway.downlink.downlink import Downlink
from gateway.timers import Timer, Timers
from tests.unit.gateway import upstream
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.server_events import ServerEvent

FAILED = upstream.event(
    "conversation.item.input_audio_transcription.failed",
    item_id="user_1",
    content_index=0,
    error={"type": "server_error", "code": None, "message": "no"},
)


class Bench:
    def __init__(self) -> None:
        self.timers = Timers()
        self.downlink = Downlink(AGENT, history=True, latency_reports=False, timers=self.timers)

    def hears(self, now: float, *events: ServerEvent) -> list[ServerMessage]:
        return [message for event in events for message in self.downlink.handle(event, now)]


def texts(messages: list[ServerMessage]) -> list[str]:
    return [message["content"] for message in messages if message["type"] == "ConversationText"]


def two_turns() -> Bench:
    bench = Bench()
    bench.hears(0, upstream.speech_stopped("user_1"))
    bench.hears(1, upstream.speech_stopped("user_2"), committed("user_2"))
    return bench


def committed(item_id: str) -> ServerEvent:
    return upstream.event("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)


def test_the_transcript_of_a_later_turn_waits_for_the_earlier_one_and_so_does_its_history() -> None:
    bench = two_turns()
    assert bench.hears(1.5, upstream.user_said("Second.", "user_2")) == []
    told = bench.hears(2, upstream.user_said("First.", "user_1"))
    assert texts(told) == ["First.", "Second."]
    assert [message["content"] for message in told if message["type"] == "History"] == ["First.", "Second."]


def test_it_does_not_wait_for_long() -> None:
    bench = two_turns()
    assert bench.hears(1.5, upstream.user_said("Second.", "user_2")) == []
    assert bench.timers.pop_due(3) == [Timer.TRANSCRIPTS]
    assert texts(bench.downlink.user.due(3)) == ["Second."]
    assert texts(bench.hears(4, upstream.user_said("First.", "user_1"))) == ["First."]
    assert bench.timers.pop_due(100) == []


def test_a_transcription_that_failed_holds_nothing_up() -> None:
    bench = two_turns()
    bench.hears(1.5, upstream.user_said("Second.", "user_2"))
    told = bench.hears(2, FAILED)
    assert told[0]["type"] == "Warning"
    assert texts(told) == ["Second."]


def test_a_turn_that_was_committed_without_being_announced_has_its_place() -> None:
    bench = Bench()
    bench.hears(0, committed("user_1"), committed("user_2"))
    assert bench.hears(1, upstream.user_said("Second.", "user_2")) == []
    assert texts(bench.hears(2, upstream.user_said("First.", "user_1"))) == ["First.", "Second."]


def test_where_nothing_is_transcribed_nothing_is_remembered_without_end() -> None:
    bench = Bench()
    for n in range(100):
        bench.hears(n, upstream.speech_stopped(f"user_{n}"))
    assert texts(bench.hears(200, upstream.user_said("Late.", "user_99"))) == ["Late."]


def test_the_components_transcripts_are_in_order_too() -> None:
    downlink = Downlink(COMPONENT)
    downlink.handle(upstream.speech_stopped("user_1"), 0)
    downlink.handle(upstream.speech_stopped("user_2"), 0)
    assert downlink.handle(upstream.user_said("Second.", "user_2"), 1) == []
    told = downlink.handle(upstream.user_said("First.", "user_1"), 1)
    assert [message["type"] for message in told] == ["ConversationText", "Transcript"] * 2
