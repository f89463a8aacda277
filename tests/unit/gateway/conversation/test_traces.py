"""The spans of a conversation."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.conversation.limits import Limits
from gateway.conversation.traces import Traces, Tracing
from gateway.conversation.under_way import under_way
from gateway.dialect import COMPONENT
from tests.tracer import RecordingTracer
from tests.unit.gateway.bench import Bench, Out, committed, effective, failed
from tests.unit.gateway.legs_bench import CLOSED
from tests.unit.gateway.owner_bench import WAYS, Owner, Way

_CLIENT = f"00-{'a' * 32}-{'b' * 16}-01"
_RELEASE = f"00-{'c' * 32}-{'d' * 16}-01"
_LINK = ("c" * 32, "d" * 16)
_SETTINGS = ["request Settings", "  apply -> request Settings"]


class Traced(Bench):
    """A bench whose conversation is traced."""

    def __init__(self, limits: Limits | None = None, *, client: str = "", claim: str = "", **tracer: bool) -> None:
        self.tracer = RecordingTracer(**tracer)
        tracing = Tracing(self.tracer, "api.openai.com", 443, 1_000.0, client, claim)
        super().__init__(COMPONENT, limits, tracing=tracing)

    def _drain(self) -> Out:
        """After everything that happens, nothing that is under way has been overlooked because little is compared."""
        out = super()._drain()
        traces = self.conversation._traces
        assert traces is not None
        there = under_way(self.conversation.context, rolls_over=self.conversation._roll_over.opening)
        assert traces._things == there
        return out

    def closed(self) -> None:
        self.conversation.closed(self.now)

    def lost(self) -> None:
        self.conversation.upstream_closed(CLOSED, self.now)
        self._drain()

    @property
    def turns(self) -> list[list[str]]:
        """The traces that have ended, without that of the first Settings."""
        settings, *turns = self.tracer.traces
        assert settings == _SETTINGS
        return turns


def traced(**details: Any) -> Traced:
    bench = Traced(**details)
    bench.configured()
    return bench


def test_settings_are_a_trace_of_their_own() -> None:
    bench = Traced()
    bench.event("session.created", session={})
    bench.say(type="Settings", audio={}, agent={})
    (request,) = bench.tracer.spans
    event = bench.conversation.client_event(1)
    assert event is not None
    assert event.traceparents == (request.traceparent,)
    bench.translated(1)
    bench.wait(1)
    bench.release((1,), traceparent=_RELEASE)
    bench.wait(2)
    assert bench.tracer.open == ["request Settings", "apply"]
    bench.event("session.updated", session=effective())
    assert bench.tracer.open == []
    apply = bench.tracer.named("apply")
    assert (apply.parent, apply.began_at, apply.ended_at) == (_LINK[1], 1_001.0, 1_003.0)
    assert request.known.links == (_LINK,), "the client's event is linked to the release that carried it"
    assert request.known.attributes == {
        "gen_ai.conversation.id": "session-0001",
        "gen_ai.provider.name": "openai",
        "turngate.request.seq": 1,
        "turngate.request.own": False,
    }


def test_a_spoken_turn_begins_with_the_speech_and_ends_with_its_reply() -> None:
    bench = traced()
    bench.now = 10.0
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    bench.now = 11.0
    bench.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=900)
    assert bench.tracer.open == ["invoke_agent"], "it waits for the answer"
    assert bench.tracer.named("invoke_agent").trace in bench.conversation.trace(), "for the log"
    bench.event("input_audio_buffer.committed", item_id="audio_1")
    bench.now = 12.0
    bench.created("resp_1")
    bench.now = 13.0
    bench.done("resp_1")
    assert bench.conversation.trace() == ""
    assert bench.turns == [["invoke_agent", "  realtime_inference", "  user_speech"]]
    turn, reply = bench.tracer.named("invoke_agent"), bench.tracer.named("realtime_inference")
    assert (turn.began_at, turn.ended_at) == (1_010.0, 1_013.0)
    assert (reply.began_at, reply.ended_at) == (1_011.0, 1_013.0), "from the moment at which it was promised"
    assert turn.attributes["gen_ai.agent.invocation.end_reason"] == "completed"
    assert reply.attributes["turngate.response.own"] is False
    assert reply.attributes["server.address"] == "api.openai.com"
    assert reply.attributes["gen_ai.response.finish_reasons"] == ["completed"]


def test_a_turn_that_is_interrupted_says_so_and_the_next_is_another_trace() -> None:
    bench = traced()
    committed(bench)
    bench.created("resp_1")
    bench.event("input_audio_buffer.speech_started", item_id="audio_2", audio_start_ms=0)
    bench.done("resp_1", status="cancelled")
    assert bench.turns == [["invoke_agent", "  realtime_inference", "  user_speech"]]
    assert bench.tracer.named("invoke_agent").attributes["gen_ai.agent.invocation.end_reason"] == "interrupted"
    assert bench.tracer.open == ["invoke_agent", "user_speech"]


def test_a_turn_without_an_answer_ends_when_something_of_it_ended_last() -> None:
    bench = traced()
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    bench.now = 1.0
    bench.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=900)
    bench.now = 200.0
    bench.say(type="InjectUserMessage", content="Hello?")
    assert bench.turns == [["invoke_agent", "  user_speech"]]
    assert bench.tracer.named("invoke_agent").ended_at == 1_001.0


def test_a_message_in_a_reply_is_a_turn_beside_it_and_the_release_is_linked() -> None:
    bench = traced()
    committed(bench)
    bench.created("resp_1")
    bench.asked(2)
    bench.done("resp_1")
    create = bench.release(responds=(2,), traceparent=_RELEASE).to_upstream[-1]["event_id"]
    bench.created("resp_2", create)
    bench.done("resp_2", create)
    assert bench.turns == [
        ["invoke_agent", "  realtime_inference", "  user_speech"],
        ["invoke_agent", "  realtime_inference", "  request InjectUserMessage"],
    ]
    assert bench.tracer.named("request InjectUserMessage").links == (_LINK,)
    assert bench.tracer.named("realtime_inference", 1).links == (_LINK,)
    assert bench.tracer.named("realtime_inference", 1).attributes["turngate.response.own"] is True


def test_a_prompt_in_a_turn_is_a_part_of_it() -> None:
    bench = traced()
    bench.asked(2)
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(3)
    create = bench.release((3,), (2,), append="B").to_upstream[-1]["event_id"]
    bench.event("session.updated", session=effective())
    bench.created("resp_1", create)
    bench.done("resp_1", create)
    assert bench.turns == [
        [
            "invoke_agent",
            "  realtime_inference",
            "  request InjectUserMessage",
            "  request UpdatePrompt",
            "    apply -> request UpdatePrompt",
        ]
    ]


def test_a_response_that_the_upstream_begins_by_itself_is_a_turn() -> None:
    bench = traced()
    bench.created("resp_1")
    bench.done("resp_1")
    assert bench.turns == [["invoke_agent", "  realtime_inference"]]


def test_a_function_is_a_part_of_the_turn_that_called_it() -> None:
    bench = traced(words=True)
    committed(bench)
    bench.created("resp_1")
    bench.call("resp_1", "call_1", "get_weather")
    bench.done("resp_1")
    assert bench.tracer.open == ["invoke_agent", "execute_tool get_weather"]
    bench.say(type="FunctionCallResponse", id="call_1", name="get_weather", content="Sun")
    bench.translated(2, "item_2")
    bench.item("item_2", "function_call_output", call_id="call_1")
    create = bench.release(responds=(2,)).to_upstream[-1]["event_id"]
    bench.created("resp_2", create)
    bench.done("resp_2", create)
    assert bench.turns == [
        [
            "invoke_agent",
            "  execute_tool get_weather",
            "  realtime_inference",
            "  realtime_inference",
            "  request FunctionCallResponse",
            "  user_speech",
        ]
    ]
    tool = bench.tracer.named("execute_tool get_weather").attributes
    assert tool["gen_ai.tool.call.arguments"] == "{}"
    assert tool["gen_ai.tool.call.result"] == "Sun"


def test_a_function_without_a_result_in_time_has_failed() -> None:
    bench = traced()
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    bench.done("resp_1")
    bench.wait(60)
    bench.translated(2, "item_2")
    bench.item("item_2", "function_call_output", call_id="call_1")
    assert bench.tracer.named("execute_tool f").attributes["error.type"] == "timeout"


def test_a_function_of_an_interrupted_reply_is_cancelled() -> None:
    bench = traced()
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    bench.done("resp_1", status="cancelled")
    assert "  execute_tool f !cancelled" in bench.turns[0]


def test_what_is_refused_has_failed_with_the_code_that_the_client_was_told() -> None:
    bench = traced()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.refused(2, "INVALID_SETTINGS")
    bench.say(type="UpdatePrompt", prompt="C")
    bench.translated(3)
    bench.error("invalid_value", bench.release((3,)).to_upstream[0]["event_id"], param="session.instructions")
    bench.say(type="UpdatePrompt", prompt="D")
    bench.translated(4)
    bench.release((4,))
    bench.wait(15)
    bench.wait(60)
    assert bench.turns == [
        ["request UpdatePrompt !INVALID_SETTINGS"],
        ["request UpdatePrompt !invalid_value", "  apply -> request UpdatePrompt !invalid_value"],
        ["request UpdatePrompt !upstream_timeout", "  apply -> request UpdatePrompt !not_confirmed"],
    ]


def test_a_reply_that_failed_says_why() -> None:
    bench = traced()
    bench.created("resp_1")
    failed(bench, "resp_1", None, "rate_limit_exceeded")
    assert bench.tracer.named("realtime_inference").attributes["error.type"] == "rate_limit_exceeded"


def test_a_lost_connection_is_restored_within_the_turn() -> None:
    bench = Traced(Limits(reconnect=30.0, retry=0.0))
    bench.configured()
    bench.requested(2)
    bench.now = 5.0
    bench.lost()
    assert bench.tracer.open == ["invoke_agent", "request InjectUserMessage", "restore"]
    bench.now = 6.0
    bench.restored()
    create = bench.release(responds=(2,)).to_upstream[-1]["event_id"]
    bench.created("resp_1", create)
    bench.lost()
    assert "  realtime_inference !upstream_closed" in "\n".join(
        f"  {span.known.name} !{span.known.attributes.get('error.type')}" for span in bench.tracer.spans
    )
    restore = bench.tracer.named("restore")
    assert restore.parent == bench.tracer.named("invoke_agent").id
    assert (restore.began_at, restore.ended_at, restore.failed) == (1_005.0, 1_006.0, False)
    assert restore.attributes["turngate.upstream.problem"] == "upstream_closed"


@pytest.mark.parametrize("completed", [True, False])
def test_a_roll_over_is_a_trace_between_turns(completed: bool) -> None:
    bench = Traced(Limits(reconnect=30.0, rollover=3_000.0))
    bench.configured()
    bench.now = 3_000.0
    assert bench.wait(0).prepare_upstream
    if completed:
        for event in ({"type": "session.created"}, {"type": "session.updated"}):
            frame = orjson.dumps({**event, "event_id": "e", "session": effective()})
            bench.conversation.next_upstream_frame(frame, bench.now)
        assert bench.conversation.drain().exchange_upstream
    else:
        bench.conversation.next_upstream_lost(bench.now)
    assert bench.turns == [["roll_over" if completed else "roll_over !not_completed"]]


def test_what_is_under_way_when_the_session_ends_ends_with_it() -> None:
    bench = traced()
    committed(bench)
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    bench.say(type="UpdatePrompt", prompt="B")
    bench.closed()
    assert bench.tracer.open == []
    assert {span.known.attributes.get("error.type") for span in bench.tracer.spans if span.known.failed} == {
        "session_closed"
    }
    assert bench.tracer.named("invoke_agent").attributes["gen_ai.agent.invocation.end_reason"] == "session_closed"
    assert bench.conversation.client_event(99) is None


def test_every_trace_is_linked_to_the_client_and_to_the_claim() -> None:
    bench = traced(client=_CLIENT, claim=_RELEASE)
    bench.asked(2)
    for root in ("request Settings", "invoke_agent"):
        found = bench.tracer.named(root)
        assert found.links == (("a" * 32, "b" * 16), _LINK)
        assert found.attributes["turngate.client.trace_id"] == _CLIENT
    assert bench.tracer.named("request InjectUserMessage").links == ()


@WAYS
def test_a_request_that_was_open_is_linked_to_its_span_at_the_gateway_before(moved: Way) -> None:
    tracer = RecordingTracer()
    owner = Owner(tracing=Tracing(tracer, "api.openai.com", 443, 1_000.0, claim=_RELEASE))
    owner.configured()
    owner.asked(2)
    before = tracer.named("request InjectUserMessage")
    bench = moved(owner)
    now = tracer.named("request InjectUserMessage", 1)
    assert now.links == ((before.trace, before.id),)
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.traceparents == (f"00-{now.trace}-{now.id}-01",)


def test_an_id_of_the_client_that_is_no_traceparent_is_an_attribute_only() -> None:
    bench = traced(client="call-7")
    root = bench.tracer.named("request Settings")
    assert (root.links, root.attributes["turngate.client.trace_id"]) == ((), "call-7")


def test_what_is_not_sampled_makes_nothing_and_tells_the_other_services_nothing() -> None:
    bench = Traced(sampled=False)
    bench.configured()
    bench.asked(2)
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.traceparent is None
    create = bench.release(responds=(2,)).to_upstream[-1]["event_id"]
    bench.created("resp_1", create)
    bench.call("resp_1", "call_1")
    bench.done("resp_1", create)
    bench.closed()
    assert bench.tracer.spans == []


def test_words_are_left_out_unless_they_are_wanted() -> None:
    shown = []
    for words in (False, True):
        bench = traced(words=words)
        committed(bench)
        bench.event(
            "conversation.item.input_audio_transcription.completed",
            item_id="audio_1", content_index=0, transcript="Spoken", usage={"type": "duration", "seconds": 1},
        )  # fmt: skip
        bench.created("resp_1")
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Said"}]}
        response = {"id": "resp_1", "status": "completed", "conversation_id": "conv", "output": [item]}
        bench.event("response.done", response=response)
        bench.asked(2, "Typed")
        shown.append(str([span.known.attributes for span in bench.tracer.spans]))
    for word in ("Be kind.", "Spoken", "Said", "Typed"):
        assert word not in shown[0]
        assert word in shown[1]


def _passing_on(monkeypatch: pytest.MonkeyPatch, name: str, reached: list[str]) -> None:
    """Calls of this method are noted."""
    method = getattr(Traces, name)

    def noted(traces: Traces, given: Any) -> None:
        reached.append(name)
        method(traces, given)

    monkeypatch.setattr(Traces, name, noted)


def test_audio_does_not_reach_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = traced()
    bench.created("resp_1")
    bench.audio("resp_1", "item_1", 20)
    reached: list[str] = []
    _passing_on(monkeypatch, "changed", reached)
    _passing_on(monkeypatch, "note", reached)
    for _ in range(3):
        assert bench.conversation.agent_audio("resp_1", "item_1", bytes(960), bench.now)
        assert bench.conversation.client_audio(bytes(960), bench.now)
    assert reached == []
    bench.done("resp_1")
    assert reached == ["note", "changed"], "a response's end does"
