"""Requests while a response is active: which are refused, and which are not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.turngate.simulator.client import CITIES, Client, error, kinds, of, only, sound
from turngate.simulator.behaviour import Behaviour

COLLISION = "conversation_already_has_active_response"
LONG = "[say 100 words]"


def responding(client: Client, text: str = LONG, **response: Any) -> str:
    """Ask and wait for the first output; returns the response's id."""
    client.say(text)
    client.send("response.create", response=response)
    client.until("response.output_item.added")
    return str(of(client.events, "response.created")[-1]["response"]["id"])


def test_the_error_object(client: Client) -> None:
    active = responding(client)
    assert error(client.send("response.create", event_id="mine")) == {
        "type": "invalid_request_error",
        "code": COLLISION,
        "message": f"Conversation already has an active response in progress: {active}. "
        "Wait until the response is finished before creating a new one.",
        "param": None,
        "event_id": "mine",
    }


def test_without_an_event_id_the_echo_is_null(client: Client) -> None:
    responding(client)
    assert error(client.send("response.create"))["event_id"] is None


def test_a_refused_request_is_not_queued(client: Client) -> None:
    responding(client)
    client.send("response.create")
    assert len(of(client.settle(), "response.done")) == 1
    assert client.settle() == []


def test_before_the_first_is_announced(client: Client) -> None:
    client.say(LONG)
    assert client.send("response.create") == []
    assert error(client.send("response.create"))["code"] == COLLISION
    assert len(of(client.settle(), "response.created")) == 1


def test_the_automatic_response_wins() -> None:
    client = Client()
    client.hear(sound(500), sound(300, loud=False))
    client.wait(0.06)
    assert of(client.events, "response.created") == []
    assert error(client.send("response.create", event_id="mine"))["event_id"] == "mine"
    assert client.until("response.created")["response"]["metadata"] is None


def test_the_clients_response_wins_and_the_automatic_one_fails() -> None:
    client = Client()
    client.hear(sound(500), sound(300, loud=False))
    assert client.send("response.create", response={"metadata": {"ref": "a"}}) == []
    events = client.settle()
    refused = only(events, "error")["error"]
    assert (refused["code"], refused["event_id"]) == (COLLISION, None)
    assert only(events, "response.created")["response"]["metadata"] == {"ref": "a"}


def test_between_cancel_and_done(client: Client) -> None:
    responding(client)
    client.send("response.cancel")
    assert error(client.send("response.create"))["code"] == COLLISION
    assert client.until("response.done")["response"]["status"] == "cancelled"
    assert client.send("response.create") == []
    assert client.until("response.done")["response"]["status"] == "completed"


def test_a_function_result_is_accepted_but_a_response_is_not(client: Client) -> None:
    client.configure(tools=[CITIES])
    client.say('[call get_weather {"city": "Oslo"}][call get_weather {"city": "Rome"}]')
    client.send("response.create")
    call = client.until("response.function_call_arguments.done")["call_id"]
    output = {"type": "function_call_output", "call_id": call, "output": "rain"}
    assert kinds(client.send("conversation.item.create", item=output)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert error(client.send("response.create"))["code"] == COLLISION


def test_out_of_band_responses_run_beside_it(client: Client) -> None:
    active = responding(client)
    assert client.send("response.create", response={"conversation": "none", "input": []}) == []
    beside = client.until("response.done")["response"]
    assert beside["conversation_id"] is None
    assert client.session.active_response == active
    assert error(client.send("response.create"))["code"] == COLLISION


def test_an_out_of_band_response_does_not_take_the_slot(client: Client) -> None:
    responding(client, conversation="none")
    assert client.send("response.create") == []
    assert len(of(client.settle(), "response.done")) == 2


def test_out_of_band_responses_are_bounded() -> None:
    client = Client(Behaviour(max_out_of_band=1))
    client.send("response.create", response={"conversation": "none"})
    assert error(client.send("response.create", response={"conversation": "none"}))["code"] == "rate_limit_exceeded"


def test_right_after_done_while_the_reply_is_still_playing() -> None:
    client = Client()
    responding(client)
    client.until("response.done")
    assert client.send("response.create") == []
    assert client.until("rate_limits.updated"), "the first one's limits come after the second was accepted"
    assert len(of(client.settle(), "response.done")) == 1


@pytest.mark.parametrize("silently", [False, True])
def test_end_of_speech_while_a_response_may_not_be_interrupted(silently: bool) -> None:
    client = Client(Behaviour(auto_create_fails_silently=silently))
    client.configure(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    responding(client)
    client.hear(sound(500), sound(300, loud=False))
    events = client.settle()
    errors = of(events, "error")
    assert [(found["error"]["code"], found["error"]["event_id"]) for found in errors] == (
        [] if silently else [(COLLISION, None)]
    )
    assert only(events, "response.done")["response"]["status"] == "completed"


def test_the_idle_timeouts_response_takes_the_same_slot() -> None:
    client = Client()
    client.configure(
        output_modalities=["text"],
        audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}},
    )
    client.send("response.create")
    client.until("input_audio_buffer.timeout_triggered")
    client.until("response.created")
    assert error(client.send("response.create"))["code"] == COLLISION


def test_while_the_user_speaks() -> None:
    client = Client()
    responding(client)
    client.hear(sound(300))
    assert error(client.send("response.create"))["code"] == COLLISION
    client.until("response.done")
    assert client.send("response.create") == []
    client.hear(sound(400, loud=False))
    events = client.settle()
    assert only(events, "error")["error"]["code"] == COLLISION
    assert len(of(events, "response.done")) == 1


def test_only_a_response_needs_the_slot(client: Client) -> None:
    responding(client)
    item = client.say("wait")
    client.hear(sound(200))
    client.send("input_audio_buffer.commit")
    client.send("input_audio_buffer.clear")
    client.send("conversation.item.delete", item_id=item)
    client.send("session.update", session={"type": "realtime", "instructions": "Be kind."})
    assert of(client.events, "error") == []


def test_an_update_applies_from_the_next_response_on(client: Client) -> None:
    responding(client)
    client.configure(output_modalities=["audio"])
    assert "response.output_audio.delta" not in kinds(client.settle())
    assert "response.output_audio.delta" in kinds(client.ask("hello"))


class TestCancel:
    def test_nothing_is_active(self, client: Client) -> None:
        refused = error(client.send("response.cancel", event_id="mine"))
        assert refused["code"] == "response_cancel_not_active"
        assert refused["message"] == "Cancellation failed: no active response found"
        assert refused["event_id"] == "mine"

    def test_an_unknown_id_leaves_the_active_one(self, client: Client) -> None:
        responding(client)
        assert error(client.send("response.cancel", response_id="resp_x"))["code"] == "response_cancel_not_active"
        assert only(client.settle(), "response.done")["response"]["status"] == "completed"

    def test_a_cancel_without_id_leaves_out_of_band_responses(self, client: Client) -> None:
        beside = responding(client, conversation="none")
        assert error(client.send("response.cancel"))["code"] == "response_cancel_not_active"
        assert client.send("response.cancel", response_id=beside) == []
        assert client.until("response.done")["response"]["status"] == "cancelled"

    def test_before_it_is_announced_it_cannot_be_cancelled(self, client: Client) -> None:
        client.send("response.create")
        assert error(client.send("response.cancel"))["code"] == "response_cancel_not_active"
        assert client.until("response.done")["response"]["status"] == "completed"

    def test_a_cancel_that_crosses_the_natural_end(self, client: Client) -> None:
        responding(client, "hello")
        client.until("response.done")
        assert error(client.send("response.cancel"))["code"] == "response_cancel_not_active"
        assert of(client.settle(), "response.done") == []

    def test_a_cancel_that_crosses_an_interruption(self) -> None:
        client = Client()
        responding(client)
        client.hear(sound(300))
        assert error(client.send("response.cancel"))["code"] == "response_cancel_not_active"
        done = only(client.settle(), "response.done")["response"]
        assert done["status_details"]["reason"] == "turn_detected"

    def test_the_natural_end_may_come_before_the_cancellation_takes_effect(self) -> None:
        client = Client(Behaviour(cancel_delay=30))
        responding(client, "hello")
        client.send("response.cancel")
        (done,) = of(client.settle(), "response.done")
        assert done["response"]["status"] == "cancelled"

    def test_deltas_still_arrive_until_done(self, client: Client) -> None:
        responding(client)
        client.send("response.cancel")
        assert kinds(client.settle())[0] == "response.output_text.delta"

    def test_an_interruption_before_the_announcement(self) -> None:
        client = Client(Behaviour(created_delay=1.0))
        client.send("response.create")
        client.hear(sound(300))
        names = kinds(client.settle())
        assert names == ["response.created", "response.done", "rate_limits.updated"]


def test_resumed_speech_cancels_the_scheduled_automatic_response() -> None:
    client = Client()
    client.hear(sound(500), sound(300, loud=False), sound(500))
    assert of(client.settle(), "response.created") == []
    client.hear(sound(300, loud=False))
    assert len(of(client.settle(), "response.created")) == 1
