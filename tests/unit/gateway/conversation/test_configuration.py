"""Configuration in a conversation: held, merged, acknowledged when it is true, or refused."""

from __future__ import annotations

from typing import Any

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types


def test_configuration_in_the_middle_of_a_reply_waits_for_its_end() -> None:
    """Row "component: the turn free too early, at the end of the audio"."""
    bench = Bench().configured()
    bench.created("resp_1")
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    out = bench.release((2,), name="early", append="B")
    assert out.to_upstream == []
    assert bench.conversation.record().decided_release == "early"
    bench.event("response.output_audio.done", response_id="resp_1", item_id="i", output_index=0, content_index=0)
    assert bench.release((2,), append="B").to_upstream == [], "the end of its audio is not the end of a response"
    latencies: list[float] = []
    bench.conversation.counters.release_latency = latencies.append
    bench.wait(1)
    bench.done("resp_1")
    bench.wait(0.5)
    sent = bench.release((2,), name="in time", append="B")
    assert latencies == [0.5], "from the end of the response"
    assert bench.conversation.record().decided_release == "in time"
    assert sent.to_upstream[0]["session"]["instructions"] == "Be kind.\n\nB"
    assert types(bench.event("session.updated", session=effective()).messages) == ["PromptUpdated"]


def test_acknowledgements_come_once_per_request_and_in_order() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.say(**SETTINGS)
    bench.translated(2)
    bench.translated(3)
    bench.release((2, 3))
    bench.release((2, 3), name="again")
    assert types(bench.event("session.updated", session=effective()).messages) == ["PromptUpdated", "SettingsApplied"]
    assert bench.event("session.updated", session=effective()).messages == []


def test_a_refused_update_is_reported_and_settled() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    event_id = bench.release((2,)).to_upstream[0]["event_id"]
    out = bench.error("invalid_value", event_id, param="session.instructions")
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "invalid_value")]
    assert "session.instructions" in out.messages[0]["description"]
    assert bench.conversation.record().open_configuration == ()


def test_a_refusal_without_our_id_is_known_by_the_field_it_names() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    bench.release((2,))
    assert bench.error("invalid_value", None, param="session.instructions").messages[0]["type"] == "Error"
    assert bench.conversation.record().open_configuration == ()


def test_a_voice_that_cannot_change_is_left_out_and_the_rest_is_applied() -> None:
    bench = Bench().configured()
    bench.say(**SETTINGS)
    bench.translated(2)
    change: dict[str, Any] = {"instructions": "B", "audio": {"output": {"voice": "ash"}}}
    event_id = bench.release((2,), **change).to_upstream[0]["event_id"]
    out = bench.error("cannot_update_voice", event_id)
    assert out.messages == []
    assert bench.conversation.record().open_configuration == (2,)
    again = bench.release((2,), name="r2", **change)
    assert again.to_upstream[0]["session"] == {"type": "realtime", "instructions": "B", "audio": {"output": {}}}
    assert [(m["type"], m["code"]) for m in again.messages] == [("Warning", "SETTING_CANNOT_CHANGE")]
    assert types(bench.event("session.updated", session=effective()).messages) == ["SettingsApplied"]


def test_an_update_of_which_nothing_is_left_is_answered_by_the_warning_alone() -> None:
    bench = Bench().configured()
    for seq in (2, 3):
        bench.say(type="UpdateThink", think={"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}})
        bench.translated(seq)
        sent = bench.release((seq,), reasoning={"effort": "low"})
        if seq == 2:
            bench.error("unknown_parameter", sent.to_upstream[0]["event_id"], param="session.reasoning")
            sent = bench.release((2,), name="r2", reasoning={"effort": "low"})
        assert (types(sent.messages), sent.to_upstream) == (["Warning"], [])
    assert bench.conversation.record().open_configuration == ()


def test_an_update_that_is_never_answered_is_reported() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.translated(1)
    bench.release((1,))
    assert bench.wait(14.9).messages == []
    assert bench.wait(0.1).messages[0]["code"] == "upstream_timeout"


# --- P11: what is refused together is answered one by one


def held(bench: Bench, *seqs: int) -> str:
    for seq in seqs:
        bench.say(type="UpdatePrompt", prompt=f"P{seq}")
        bench.translated(seq)
    return str(bench.release(seqs, name="together").to_upstream[0]["event_id"])


def test_updates_that_are_refused_together_are_sent_one_by_one() -> None:
    bench = Bench().configured()
    together = held(bench, 2, 3, 4)
    assert bench.error("invalid_value", together, param="session.tools[0].description").messages == []
    assert bench.conversation.record().open_configuration == (2, 3, 4)
    (first,) = bench.release((2, 3, 4), responds=(), name="r2").to_upstream
    assert first["session"]["instructions"] == "part 2"
    assert types(bench.event("session.updated", session=effective()).messages) == ["PromptUpdated"]
    (second,) = bench.release((3, 4), name="r3").to_upstream
    assert second["session"]["instructions"] == "part 3"
    out = bench.error("invalid_value", second["event_id"], param="session.tools[0].description")
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "invalid_value")]
    bench.release((4,), name="r4")
    assert types(bench.event("session.updated", session=effective()).messages) == ["PromptUpdated"]
    assert bench.conversation.record().open_configuration == ()


def test_a_response_waits_until_each_of_them_is_answered() -> None:
    bench = Bench().configured()
    together = held(bench, 2, 3)
    bench.error("invalid_value", together)
    bench.asked(4)
    out = bench.release((2, 3), responds=(4,), name="r2")
    assert types(out.to_upstream) == ["session.update"]


def test_an_update_of_several_that_is_never_answered_is_reported_for_all() -> None:
    bench = Bench().configured()
    held(bench, 2, 3)
    assert [message["code"] for message in bench.wait(15).messages] == ["upstream_timeout"] * 2


def test_settings_are_not_refused_for_an_update_that_came_with_them() -> None:
    bench = Bench(AGENT)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.say(type="UpdateListen", listen={"provider": {"type": "deepgram", "language": "xx"}})
    for seq in (1, 2):
        bench.translated(seq)
    together = bench.release((1, 2)).to_upstream[0]["event_id"]
    out = bench.error("invalid_value", together, param="session.audio.input.transcription.language")
    assert (out.messages, out.ending) == ([], None)
    bench.release((1, 2), name="r2")
    assert types(bench.event("session.updated", session=effective()).messages)[0] == "SettingsApplied"


# --- a prompt that is full


def full() -> Bench:
    bench = Bench(AGENT, Limits(prompt=10)).configured()
    bench.event("session.updated", session=effective(instructions="0123456789"))
    return bench


def test_a_prompt_that_is_full_is_said_each_time_and_never_acknowledged() -> None:
    bench = full()
    for seq in (2, 3):
        bench.say(type="UpdatePrompt", prompt="more")
        bench.translated(seq)
        out = bench.release((seq,), append="more", name=f"r{seq}")
        assert out.to_upstream == []
        assert [message["code"] for message in out.messages] == ["PROMPT_TOO_LONG"]
    assert bench.conversation.record().open_configuration == ()


def test_a_prompt_that_is_full_does_not_confirm_itself_in_the_company_of_others() -> None:
    bench = full()
    for seq in (2, 3):
        bench.say(type="UpdatePrompt", prompt="more")
        bench.translated(seq)
    out = bench.release((2, 3), append="more")
    assert (out.to_upstream, out.messages) == ([], [])
    assert bench.conversation.record().open_configuration == (2, 3)
    (update,) = bench.release((2, 3), append="more", name="r2").to_upstream
    assert update["session"]["instructions"] == "part 2"
