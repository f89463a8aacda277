"""The transcript: what is kept, in which form it is replayed, and its bounds."""

from __future__ import annotations

from typing import Any

from gateway.continuity.transcript import Transcript


def transcript(items: int = 100, limit_bytes: int = 100_000, audio: int = 1_000) -> Transcript:
    return Transcript(items, limit_bytes, audio)


def user(item_id: str, text: str = "Hi") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def output(item_id: str, call_id: str, text: str = "ok") -> dict[str, Any]:
    return {"id": item_id, "type": "function_call_output", "call_id": call_id, "output": text}


def ids(kept: Transcript) -> list[str]:
    return [item["id"] for item in kept.items()]


def content(kept: Transcript, item_id: str) -> dict[str, Any]:
    item = next(item for item in kept.items() if item["id"] == item_id)
    return dict(item["content"][0])


def test_items_are_in_the_order_in_which_they_came_and_keep_their_ids() -> None:
    kept = transcript()
    kept.sent(user("u1"))
    kept.said("r1", "a1", "Hello")
    kept.called("call_1", "f", "{}")
    kept.sent(output("o1", "call_1"))
    assert ids(kept) == ["u1", "a1", "call_1", "o1"]
    kept.called("call_1", "f", "{}")
    assert len(kept) == 4


def test_a_spoken_turn_is_its_audio_until_it_has_a_transcript() -> None:
    kept = transcript()
    kept.turn("t1", b"\1\2")
    assert content(kept, "t1") == {"type": "input_audio", "audio": "AQI="}
    kept.transcribed("t1", " ")
    assert content(kept, "t1")["type"] == "input_audio"
    kept.transcribed("t1", " Hello. ")
    assert content(kept, "t1") == {"type": "input_text", "text": "Hello."}
    kept.transcribed("t0", "of another session")
    assert ids(kept) == ["t1"]


def test_turns_without_audio_and_replies_without_words_are_not_replayed() -> None:
    kept = transcript()
    kept.turn("t1", b"")
    kept.said("r1", "a1", " ")
    assert ids(kept) == []


def test_the_agents_words_are_kept_as_far_as_they_were_heard() -> None:
    kept = transcript()
    kept.said("r1", "a1", "One ")
    kept.said("r1", "a1", "two")
    assert (content(kept, "a1"), kept.messages_of("r1")) == ({"type": "output_text", "text": "One two"}, ["a1"])
    kept.said("r1", "a1", "One two three.", complete=True)
    kept.said("r1", "a1", "More")
    assert kept.text_of("a1") == "One two three."
    kept.cut("a1", "One")
    kept.said("r1", "a1", "One two three.", complete=True)
    assert content(kept, "a1")["text"] == "One"
    kept.cut("u1", "no reply")
    assert kept.text_of("u1") == ""
    kept.cut("a1", "")
    assert ids(kept) == []


def test_what_is_refused_is_not_part_of_the_conversation() -> None:
    kept = transcript()
    kept.sent(user("u1"))
    kept.called("call_1", "f", "{}")
    kept.sent(output("o1", "call_1"))
    kept.refused("u1")
    kept.refused("o1")
    kept.refused("unknown")
    assert ids(kept) == ["call_1"]
    kept.refused("call_1")
    assert not kept.has_call("call_1")


def test_the_oldest_are_dropped_first_and_those_of_settings_never() -> None:
    kept = transcript(items=3)
    kept.sent(user("context"), kept=True)
    for number in range(5):
        kept.sent(user(f"u{number}"))
    assert ids(kept) == ["context", "u3", "u4"]


def test_its_size_is_bounded_whatever_grows() -> None:
    kept = transcript(limit_bytes=2_000)
    kept.sent(user("u1", "x" * 1_000))
    kept.turn("t1", b"")
    kept.transcribed("t1", "y" * 500)
    assert ids(kept) == ["u1", "t1"]
    kept.said("r1", "a1", "z" * 700)
    assert ids(kept) == ["t1", "a1"]
    before = kept.held_bytes
    kept.cut("a1", "")
    assert kept.held_bytes == before - 700


def test_a_call_is_dropped_with_its_output_and_not_before_it_is_answered() -> None:
    kept = transcript(items=3)
    kept.called("call_1", "f", "{}")
    for number in range(4):
        kept.sent(user(f"u{number}"))
    assert ids(kept) == ["call_1", "u2", "u3"]
    kept.sent(output("o1", "call_1"))
    assert ids(kept) == ["call_1", "u3", "o1"], "an output that is just sent is needed"
    kept.sent(user("u4"))
    assert ids(kept) == ["u3", "u4"]


def test_what_may_not_be_dropped_may_exceed_the_limits() -> None:
    kept = transcript(items=1)
    kept.sent(user("c1"), kept=True)
    kept.sent(user("c2"), kept=True)
    kept.sent(user("u1"))
    assert ids(kept) == ["c1", "c2", "u1"]


def test_an_output_without_its_call_is_kept_to_be_refused() -> None:
    kept = transcript()
    kept.sent(output("o1", "call_0"))
    kept.refused("o1")
    assert ids(kept) == []


def test_the_audio_of_the_oldest_turns_goes_first() -> None:
    kept = transcript(audio=10)
    kept.sent(user("u1"))
    kept.turn("t1", bytes(8))
    kept.turn("t2", bytes(8))
    assert ids(kept) == ["u1", "t2"]
    kept.turn("t2", bytes(4))
    assert content(kept, "t2")["audio"] == "AAAAAA=="
    kept.turn("t3", bytes(12))
    assert ids(kept) == ["u1"], "a turn that is too long for the limit"


def test_an_items_place_is_after_the_one_before() -> None:
    kept = transcript()
    kept.sent(user("u1"))
    kept.said("r1", "a1", "Hello")
    assert kept.place_of("u1") == ("root", user("u1"))
    assert kept.place_of("a1")[0] == "u1"
    kept.cut("a1", "")
    assert kept.place_of("a1") == ("u1", None)
