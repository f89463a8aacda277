"""How the load generator counts the audio in an event of the upstream's protocol."""

from __future__ import annotations

from benchmarks.load.frames import BURST, appended, appended_bytes, delta, delta_bytes, event, frame_bytes


def test_the_audio_of_a_client() -> None:
    assert appended_bytes(appended()) == frame_bytes(24_000)


def test_the_audio_of_a_burst() -> None:
    sizes = [delta_bytes(delta("resp_1", "item_1", frames)) for frames in BURST]
    assert sizes == [frames * frame_bytes(24_000) for frames in BURST]
    assert sum(sizes) == 48_000


def test_json_with_spaces() -> None:
    assert delta_bytes(b'{"type": "response.output_audio.delta", "delta": "AAAA"}') == 3


def test_other_events_have_no_audio() -> None:
    assert appended_bytes(event("session.update", session={"audio": {"input": {}}})) == -1
    assert delta_bytes(event("response.done", response={})) == -1
