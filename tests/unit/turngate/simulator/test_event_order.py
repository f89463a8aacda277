"""The order of events, as far as a client may rely on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.turngate.simulator.client import CITIES, Client, kinds, of, only, reply, sound, text_item
from turngate.simulator.frames import Event

TEXT_RESPONSE = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]


def test_session_created_is_sent_immediately() -> None:
    client = Client()
    (created,) = client.events
    assert created["type"] == "session.created"
    session = created["session"]
    assert session["object"] == "realtime.session"
    assert session["expires_at"] == client.now + 3600
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200


def test_text_turn(client: Client) -> None:
    added, done = client.send("conversation.item.create", item=text_item("Good morning"))
    assert [added["type"], done["type"]] == ["conversation.item.added", "conversation.item.done"]
    assert client.send("response.create") == []
    assert kinds(client.settle()) == TEXT_RESPONSE


def test_the_added_item_is_empty_and_the_done_item_is_complete(client: Client) -> None:
    events = client.ask("Good morning")
    added, done = only(events, "conversation.item.added")["item"], only(events, "conversation.item.done")["item"]
    assert (added["status"], added["content"]) == ("in_progress", [])
    text = only(events, "response.output_text.done")["text"]
    assert (done["status"], done["content"]) == ("completed", [{"type": "output_text", "text": text}])
    assert "".join(event["delta"] for event in of(events, "response.output_text.delta")) == text
    assert only(events, "response.done")["response"]["output"] == [done]


def test_audio_response() -> None:
    client = Client()
    client.configure(audio={"input": {"turn_detection": None}})
    events = client.ask("Good morning to you")
    names = [name for name in kinds(events) if not name.endswith(".delta")]
    assert names == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert only(events, "response.content_part.added")["part"]["type"] == "audio"
    transcript = "".join(event["delta"] for event in of(events, "response.output_audio_transcript.delta"))
    assert transcript == reply(events)
    mixed = [event["type"] for event in events if event["type"].endswith(".delta")]
    assert mixed != sorted(mixed), "transcript and audio come interleaved"


def test_audio_is_sent_faster_than_real_time() -> None:
    client = Client()
    client.ask("[say 30 words]")
    first, last = (
        next(time for time, event in pairs if event["type"] == "response.output_audio.delta")
        for pairs in (
            zip(client.times, client.events, strict=True),
            zip(reversed(client.times), reversed(client.events), strict=True),
        )
    )
    played = 0.18 * len(of(client.events, "response.output_audio.delta"))
    assert 2 < played / (last - first) < 4


def test_one_function_call(client: Client) -> None:
    client.configure(tools=[CITIES])
    events = client.ask('[call get_weather {"city": "Oslo"}]')
    assert kinds(events) == ["response.created", *CALL, "response.done", "rate_limits.updated"]
    done = only(events, "response.function_call_arguments.done")
    assert (done["name"], done["arguments"]) == ("get_weather", '{"city": "Oslo"}')
    (output,) = only(events, "response.done")["response"]["output"]
    assert output["call_id"] == done["call_id"]


def test_parallel_function_calls_and_one_reply_to_their_results(client: Client) -> None:
    client.configure(tools=[CITIES])
    events = client.ask('[say 3 words][call get_weather {"city": "Oslo"}][call get_weather {"city": "Rome"}]')
    names = kinds(events)
    assert names[: names.index("response.output_item.done") + 1] == TEXT_RESPONSE[:-2]
    assert names[names.index("response.output_item.done") + 1 :] == [*CALL, *CALL, *TEXT_RESPONSE[-2:]]
    assert [event["output_index"] for event in of(events, "response.output_item.added")] == [0, 1, 2]
    calls = [item["call_id"] for item in only(events, "response.done")["response"]["output"][1:]]
    for call, result in zip(calls, ("rain", "sun"), strict=True):
        client.send(
            "conversation.item.create", item={"type": "function_call_output", "call_id": call, "output": result}
        )
    client.send("response.create")
    assert reply(client.settle()) == "Here is what I found: rain and sun."


def test_cancelled_response(client: Client) -> None:
    client.say("[say 50 words]")
    client.send("response.create")
    client.until("response.output_text.delta")
    assert client.send("response.cancel") == []
    events = client.settle()
    tail = [name for name in kinds(events) if not name.endswith(".delta")]
    assert tail == TEXT_RESPONSE[5:]
    done = only(events, "response.done")["response"]
    assert (done["status"], done["status_details"]) == (
        "cancelled",
        {"type": "cancelled", "reason": "client_cancelled"},
    )
    assert only(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert 0 < len(reply(events).split()) < 50


def test_a_cancelled_function_call_still_sends_arguments_done(client: Client) -> None:
    client.configure(tools=[CITIES])
    client.say(f'[call get_weather {{"city": "{"x" * 200}"}}]')
    client.send("response.create")
    client.until("response.function_call_arguments.delta")
    client.send("response.cancel")
    events = client.settle()
    assert len(only(events, "response.function_call_arguments.done")["arguments"]) < 200
    assert only(events, "response.output_item.done")["item"]["status"] == "incomplete"


def test_out_of_band_response_does_not_change_the_conversation(client: Client) -> None:
    client.say("Good morning")
    client.send("response.create", response={"conversation": "none", "metadata": {"purpose": "summary"}})
    events = client.settle()
    assert kinds(events) == [name for name in TEXT_RESPONSE if not name.startswith("conversation.")]
    for name in ("response.created", "response.done"):
        response = only(events, name)["response"]
        assert (response["conversation_id"], response["metadata"]) == (None, {"purpose": "summary"})
    item = only(events, "response.output_item.done")["item"]["id"]
    assert client.send("conversation.item.retrieve", item_id=item)[0]["type"] == "error"


def test_failed_response_sends_no_error_event(client: Client) -> None:
    events = client.ask("[fail]")
    assert kinds(events) == ["response.created", "response.done", "rate_limits.updated"]
    done = only(events, "response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "server_error"


@pytest.mark.parametrize(("text", "overrides"), [("[incomplete]", {}), ("[say 40 words]", {"max_output_tokens": 10})])
def test_incomplete_response(client: Client, text: str, overrides: Event) -> None:
    events = client.ask(text, **overrides)
    assert kinds(events) == TEXT_RESPONSE
    done = only(events, "response.done")["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert only(events, "response.output_item.done")["item"]["status"] == "incomplete"
    assert len(reply(events).split()) <= 10


def test_the_response_shows_its_usage_and_its_configuration(client: Client) -> None:
    response = only(client.ask("Good morning"), "response.done")["response"]
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert response["conversation_id"].startswith("conv_")
    assert response["output_modalities"] == ["text"]


VAD_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


def test_vad_turn_with_a_reply_and_a_transcript() -> None:
    client = Client()
    client.configure(output_modalities=["text"], audio={"input": {"transcription": {"model": "whisper-1"}}})
    came = client.hear(sound(1000), sound(400, loud=False))
    assert kinds(came) == VAD_TURN
    assert len({event.get("item_id") or event["item"]["id"] for event in came}) == 1
    events = client.settle()
    prefix = "conversation.item.input_audio_transcription."
    assert [name for name in kinds(events) if not name.startswith(prefix)] == TEXT_RESPONSE
    assert [name for name in kinds(events) if name.startswith(prefix)] == [f"{prefix}delta", f"{prefix}completed"]
    assert only(events, f"{prefix}completed")["transcript"] == "(speech, 1.0 s)"
    assert only(events, "response.created")["response"]["metadata"] is None
    assert reply(events) == "I heard you speak for 1.0 seconds."


def test_no_reply_without_create_response() -> None:
    client = Client()
    client.configure(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    assert kinds(client.hear(sound(500), sound(400, loud=False))) == VAD_TURN
    assert client.settle() == []


def test_manual_turn(client: Client) -> None:
    assert client.hear(sound(500), sound(1000, loud=False)) == []
    came = client.send("input_audio_buffer.commit")
    assert kinds(came) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert client.settle() == []
    client.send("response.create")
    assert kinds(client.settle()) == TEXT_RESPONSE


def test_interruption() -> None:
    client = Client()
    client.say("[say 50 words]")
    client.send("response.create")
    client.until("response.output_audio.delta")
    (started,) = client.hear(sound(200))
    assert started["type"] == "input_audio_buffer.speech_started"
    events = client.settle()
    done = only(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert only(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert [name for name in kinds(events) if name.endswith("done")] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


def test_idle_timeout() -> None:
    client = Client()
    client.configure(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    client.say("Good morning")
    client.send("response.create")
    done = client.until("response.done")
    ended = client.now
    client.hear(sound(3000, loud=False))
    client.until("input_audio_buffer.timeout_triggered")
    played = 0.18 * len(of(client.events, "response.output_audio.delta"))
    assert client.now == pytest.approx(ended + played + 5)
    names = kinds(client.wait(0.1))
    assert names == ["response.created"]
    at = [event["type"] for event in client.events].index("input_audio_buffer.timeout_triggered")
    assert kinds(client.events[at : at + 4]) == ["input_audio_buffer.timeout_triggered", *VAD_TURN[2:]]
    triggered = client.events[at]
    assert (triggered["audio_start_ms"], triggered["audio_end_ms"]) == (0, 3000)
    again = client.until("response.done")["response"]
    assert again["id"] != done["response"]["id"]
    assert again["output"][0]["content"][0]["transcript"] == "Are you still there?"


@pytest.mark.parametrize("event", ["speech", "create"])
def test_the_idle_timer_stops_when_something_happens(event: str) -> None:
    client = Client()
    detection = {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}
    client.configure(output_modalities=["text"], audio={"input": {"turn_detection": detection}})
    client.send("response.create")
    client.until("response.done")
    client.wait(4)
    if event == "speech":
        client.hear(sound(500))
        came = client.settle()
    else:
        client.say("[say 500 words]")
        client.send("response.create")
        came = client.wait(4)
    assert "input_audio_buffer.timeout_triggered" not in kinds(came)


def test_expiry_ends_the_session_without_a_done() -> None:
    client = Client()
    client.wait(3599.9)
    client.send("response.create")
    client.wait(1)
    closing = client.session.closing
    assert closing is not None
    assert closing.code == 1001
    assert "60 minutes" in closing.reason
    assert of(client.events, "response.done") == []
    assert client.session.next_deadline() is None
    assert client.send("response.create") == []


def test_the_same_seed_and_events_give_the_same_conversation() -> None:
    def run(seed: int) -> list[dict[str, Any]]:
        client = Client(seed=seed)
        client.configure(tools=[CITIES])
        client.ask("What is the weather in Oslo and Rome?")
        return client.events

    assert run(3) == run(3)
    assert run(3) != run(4)
