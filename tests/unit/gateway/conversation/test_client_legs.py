"""A client that is gone for a while, and returns."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import SETTINGS, Bench, Out, effective, types
from turngate.protocol.deepgram import events


class Returning(Bench):
    """A bench whose client may return."""

    def __init__(self, dialect: Dialect = AGENT, limits: Limits | None = None) -> None:
        super().__init__(dialect, limits)
        self.conversation = Conversation(
            "session-0001", "gw", dialect, limits or Limits(), self.now, None, resumable=True
        )

    def gone(self) -> Out:
        self.conversation.client_lost(self.now)
        return self._drain()

    def back(self, received: int | None = None, unsent: int = 0) -> list[dict[str, Any]]:
        return self.conversation.client_returned(received, unsent, self.now)


def ready(dialect: Dialect = AGENT, limits: Limits | None = None) -> Returning:
    bench = Returning(dialect, limits)
    bench.configured()
    return bench


def arrive(bench: Returning) -> None:
    """Everything that was sent has arrived."""
    mark = bench.conversation.client_legs.mark()
    assert mark is not None
    bench.conversation.client_legs.proven(mark)


def test_a_welcome_says_what_a_client_asked_for() -> None:
    assert events.welcome("r") == {"type": "Welcome", "request_id": "r"}
    recovered = events.welcome("r", resumed=True, recovered={"messages": 3, "audio_ms": 20})
    assert recovered["recovered"] == {"messages": 3, "audio_ms": 20}
    resumed = events.welcome("r", resumed=True, resume="h")
    assert resumed == {"type": "Welcome", "request_id": "r", "resumed": True, "resume": "h"}


def test_what_was_not_proven_to_arrive_is_sent_again() -> None:
    bench = ready()
    bench.gone()
    assert bench.conversation.client_legs.parked
    assert bench.conversation.client_legs.mark() is None
    assert types(bench.back()) == ["SettingsApplied"]
    arrive(bench)
    bench.gone()
    assert bench.back() == []


def test_only_calls_that_are_open_are_sent_again() -> None:
    bench = ready()
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    bench.call("resp_1", "call_2")
    bench.done("resp_1")
    bench.say(type="FunctionCallResponse", id="call_1", name="f", content="ok")
    bench.gone()
    again = [message for message in bench.back() if message["type"] == "FunctionCallRequest"]
    assert [message["functions"][0]["id"] for message in again] == ["call_2"]


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_the_same_settings_again_are_acknowledged_at_once_and_change_nothing(dialect: Dialect) -> None:
    bench = ready(dialect)
    bench.gone()
    bench.back()
    out = bench.say(**SETTINGS)
    assert (types(out.messages), out.to_publish) == (["SettingsApplied"], [])


def test_settings_that_are_not_confirmed_yet_are_acknowledged_once() -> None:
    bench = Returning()
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.translated(1)
    bench.release((1,))
    bench.gone()
    bench.back()
    assert bench.say(**SETTINGS).messages == []
    assert types(bench.event("session.updated", session=effective()).messages) == ["SettingsApplied"]


def test_other_settings_are_a_change_and_a_second_time_a_mistake_as_ever() -> None:
    bench = ready()
    bench.gone()
    bench.back()
    other = {**SETTINGS, "agent": {**SETTINGS["agent"], "greeting": "Hello again."}}
    assert bench.say(**other).to_publish == [2]
    request = bench.conversation.context.requests.get(2)
    assert request is not None
    assert request.repeated, "it does not greet"
    assert bench.say(**SETTINGS).messages[0]["code"] == "SETTINGS_ALREADY_APPLIED"


def test_nothing_counts_as_played_while_the_client_is_gone() -> None:
    bench = ready()
    bench.created("resp_1")
    bench.audio("resp_1", "a1", 2_000)
    playout = bench.conversation.downlink.playout
    bench.now += 0.5
    bench.gone()
    bench.gone()
    bench.now += 10
    bench.audio("resp_1", "a1", 1_000)
    assert playout.ends_at(bench.now) == bench.now + 2.5
    bench.back()
    bench.back()
    bench.now += 0.25
    (cut,) = playout.cut(bench.now)
    assert (cut.heard_ms, cut.forwarded_ms) == (750, 3_000)


def test_an_open_turn_is_ended() -> None:
    bench = ready()
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    assert types(bench.gone().to_upstream) == ["input_audio_buffer.commit"]


def test_a_client_that_is_gone_is_not_silent() -> None:
    bench = ready(limits=Limits(silence=15.0))
    bench.gone()
    assert bench.wait(60).messages == []
    bench.back()
    assert bench.wait(14).messages == []
    assert bench.wait(1).messages[0]["code"] == "CLIENT_MESSAGE_TIMEOUT"
