"""Function calls and the agent's given words in a conversation."""

from __future__ import annotations

from gateway.conversation.limits import Limits
from tests.unit.gateway.bench import RACE, SETTINGS, Bench, called, committed, types
from turngate.protocol.messages import Slot

# --- function calls ---


def test_a_function_call_is_open_until_the_upstream_has_its_result() -> None:
    bench = called("call_1")
    assert bench.conversation.record().open_calls == ("call_1",)
    out = bench.say(type="FunctionCallResponse", id="call_1", name="f", content="42")
    assert types(out.messages) == ["AgentThinking"]
    assert bench.conversation.record().open_calls == ("call_1",)
    bench.translated(2, "out_1")
    bench.item("out_1", "function_call_output", call_id="call_1")
    assert bench.conversation.record().open_calls == ()
    assert bench.conversation.context.requests.answerable() == [2]


def test_results_nobody_asked_for_are_told_and_not_used() -> None:
    bench = called("call_1")
    assert (
        bench.say(type="FunctionCallResponse", id="call_9", content="").messages[0]["code"] == "UNKNOWN_FUNCTION_CALL"
    )
    bench.say(type="FunctionCallResponse", name="f", content="1")
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.message["id"] == "call_1"
    twice = bench.say(type="FunctionCallResponse", id="call_1", content="2")
    assert twice.messages[0]["code"] == "UNKNOWN_FUNCTION_CALL"
    assert twice.to_publish == []


def test_a_call_that_is_not_answered_in_time_is_answered_for_the_client() -> None:
    bench = called("call_1", "call_2")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    out = bench.wait(30)
    assert [(m["type"], m["code"]) for m in out.messages] == [("Warning", "FUNCTION_CALL_TIMEOUT")]
    event = bench.conversation.client_event(3)
    assert event is not None
    assert (event.message["id"], "error" in event.message) == ("call_2", True)


def test_a_result_after_the_timeout_reaches_the_model_as_a_late_one_and_once() -> None:
    bench = called("call_1")
    bench.wait(30)
    out = bench.say(type="FunctionCallResponse", id="call_1", content="late")
    assert (types(out.messages), out.to_publish) == (["AgentThinking"], [3])
    event = bench.conversation.client_event(3)
    assert event is not None
    assert event.message == {"type": "LateFunctionResult", "id": "call_1", "name": "f", "output": "late"}
    again = bench.say(type="FunctionCallResponse", id="call_1", content="late")
    assert again.messages[0]["code"] == "UNKNOWN_FUNCTION_CALL"


def test_without_a_limit_a_call_is_waited_for() -> None:
    bench = called("call_1", limits=Limits(call=0))
    for _ in range(100):
        assert bench.wait(60).messages == []
    assert bench.say(type="FunctionCallResponse", id="call_1", content="1").to_publish == [2]


def test_a_timeout_past_the_limit_and_its_reserve_closes_the_call() -> None:
    bench = called("call_1", "call_2", "call_3", limits=Limits(requests=1, calls=3))
    for item_id in ("audio_1", "audio_2"):
        committed(bench, item_id)
        bench.error(RACE)
    out = bench.wait(30)
    assert bench.conversation.record().open_calls == ("call_1", "call_2")
    told = [message["description"] for message in out.messages if message["type"] == "Warning"]
    assert [text.partition("; ")[2] for text in told] == [
        "the model is told.",
        "the model is told.",
        "too many requests are waiting to tell the model.",
    ]


def test_the_model_is_told_of_a_result_that_is_refused_and_the_client_may_answer_again() -> None:
    bench = called("call_1")
    bench.say(type="FunctionCallResponse", id="call_1", content="1" * 100)
    bench.translated(2, "out_1")
    out = bench.error("string_above_max_length", "out_1")
    assert [message["code"] for message in out.messages] == ["string_above_max_length", "FUNCTION_RESULT_REFUSED"]
    assert bench.conversation.record().open_calls == ("call_1",)
    event = bench.conversation.client_event(3)
    assert event is not None
    assert event.message["error"] == "The function's result could not be delivered."
    assert bench.say(type="FunctionCallResponse", id="call_1", content="1").to_publish == [4]


def test_a_result_that_is_on_its_way_when_its_request_times_out_is_not_sent_again_as_an_error() -> None:
    bench = called("call_1")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    bench.translated(2, "out_1")
    out = bench.wait(61)
    assert [message["code"] for message in out.messages if "code" in message] == ["REQUEST_TIMED_OUT"]
    assert bench.conversation.client_event(3) is None, "no error is to be sent as its result"
    assert bench.conversation.record().open_calls == ()


def test_a_call_that_cannot_be_answered_at_all_is_closed() -> None:
    bench = called("call_1")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    bench.translated(2, "out_1")
    bench.error("invalid_tool_call_id", "out_1")
    bench.translated(3, "out_2")
    bench.error("invalid_tool_call_id", "out_2")
    assert bench.conversation.record().open_calls == ()


def test_a_result_that_the_model_has_is_not_reported_to_it_when_its_response_is_refused() -> None:
    bench = called("call_1")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    bench.translated(2, "out_1")
    bench.item("out_1", "function_call_output", call_id="call_1", output="1")
    create = bench.release(responds=(2,)).to_upstream[-1]["event_id"]
    out = bench.error("server_error", create)
    assert [message["code"] for message in out.messages] == ["server_error"]


# --- the agent's given words ---


def test_inject_agent_message_is_refused_in_a_turn_queued_or_interrupts() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    assert types(bench.say(type="InjectAgentMessage", message="x").messages) == ["InjectionRefused"]
    assert bench.say(type="InjectAgentMessage", message="x", behavior="queue").to_publish == [2]
    out = bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    assert (out.to_publish, types(out.to_upstream)) == ([3], ["response.cancel"])
    assert bench.conversation.record().slot is Slot.CANCELLING
    again = bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    assert (again.to_publish, again.to_upstream) == ([4], [])
    bench.done("resp_1", status="cancelled")
    assert types(bench.say(type="InjectAgentMessage", message="x").messages) == ["InjectionRefused"], "one waits"


def test_inject_agent_message_before_the_session_is_configured_is_refused_for_that() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    (refused,) = bench.say(type="InjectAgentMessage", message="x").messages
    assert (refused["type"], refused["message"]) == ("InjectionRefused", "The session is not configured yet.")
    assert bench.say(type="InjectAgentMessage", message="x", behavior="queue").to_publish == [2]


def test_inject_agent_message_at_rest_is_accepted_and_only_its_own_response_answers_it() -> None:
    bench = Bench().configured()
    assert bench.say(type="InjectAgentMessage", message="x").to_publish == [2]
    bench.translated(2)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == (2,)


def test_the_user_speaking_refuses_all_but_an_interruption() -> None:
    bench = Bench().configured()
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    for behavior in ("default", "queue"):
        out = bench.say(type="InjectAgentMessage", message="x", behavior=behavior)
        assert types(out.messages) == ["InjectionRefused"]
    assert bench.say(type="InjectAgentMessage", message="x", behavior="interrupt").to_publish == [2]


def test_given_words_answer_nobody_but_who_asked_for_them() -> None:
    bench = Bench().configured().asked(2)
    bench.say(type="InjectAgentMessage", message="One moment.", behavior="queue")
    bench.translated(3)
    create = bench.release(responds=(3,), exclusive=True).to_upstream[-1]["event_id"]
    bench.created("resp_1", create)
    assert bench.conversation.record().open_responses == (2,)


def test_the_model_is_told_of_a_call_that_was_cut_off() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    item = {"id": "fc_2", "type": "function_call", "status": "incomplete", "call_id": "call_2", "name": "f"}
    whole = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "f"}
    words = {"id": "item_1", "type": "message", "role": "assistant", "status": "completed", "content": []}
    response = {"id": "resp_1", "status": "incomplete", "conversation_id": "conv", "output": [words, whole, item]}
    out = bench.event("response.done", response=response)
    assert [event["item"]["call_id"] for event in out.to_upstream] == ["call_2"]
    assert "was not made" in out.to_upstream[0]["item"]["output"]
    assert types(out.messages) == ["Warning"]
    assert bench.conversation.record().open_calls == ("call_1",)
    refused = bench.error("invalid_tool_call_id", out.to_upstream[0]["event_id"])
    assert refused.messages == [], "the client did not ask for that"
