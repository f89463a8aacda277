from __future__ import annotations

from typing import Any

from turngate.cli.demo.observations import Observation, Reply, UpstreamEvent, find_record, replies


def seen(*events: dict[str, Any] | int) -> list[Observation]:
    """One observation per second; an int is an audio frame of that many bytes."""
    return [
        Observation(float(at), "scene", "step", "heard", {"bytes": event})
        if isinstance(event, int)
        else Observation(float(at), "scene", "step", "received", event)
        for at, event in enumerate(events)
    ]


STARTED = {"type": "AgentStartedSpeaking"}
AUDIO_DONE = {"type": "AgentAudioDone"}
DONE = {"type": "AgentDone"}


def words(content: str, role: str = "assistant") -> dict[str, Any]:
    return {"type": "ConversationText", "role": role, "content": content}


def test_a_reply_contains_everything_from_its_start_to_its_end() -> None:
    assert replies(seen(STARTED, 10, words("One."), 20, words("Two."), AUDIO_DONE, DONE)) == [
        Reply(0.0, 5.0, "One. Two.", 30)
    ]


def test_calls_and_the_users_text_are_not_a_reply() -> None:
    assert replies(seen(words("Hi", "user"), STARTED, words("Function call: f({})"), AUDIO_DONE, DONE)) == []


def test_a_reply_without_an_end() -> None:
    assert replies(seen(words("One."), 10)) == [Reply(0.0, None, "One.", 10)]


def test_a_new_reply_ends_the_previous_one() -> None:
    assert [reply.text for reply in replies(seen(STARTED, words("One."), STARTED, words("Two."), DONE))] == [
        "One.",
        "Two.",
    ]


def session(prompt: str, at: float, *, dropped: int = 0) -> dict[str, Any]:
    entry = {
        "at": at,
        "direction": "received",
        "event": {"type": "session.update", "session": {"instructions": prompt}},
        "slot": {"active_response": None, "out_of_band": []},
        "user_speaking": False,
    }
    return {"id": "sess", "entries": [entry], "violations": [], "dropped": dropped}


def test_the_newest_session_with_the_mark_is_found() -> None:
    record = find_record([session("demo 1", 1.0), session("demo 1", 2.0), session("demo 2", 3.0)], "demo 1")
    assert record is not None
    event = {"type": "session.update", "session": {"instructions": "demo 1"}}
    assert record.entries == (UpstreamEvent(2.0, "received", event, None),)


def test_an_incomplete_record_is_not_used() -> None:
    assert find_record([], "demo") is None
    assert find_record([session("demo", 1.0, dropped=3)], "demo") is None
