"""The React voice component, row by row: what it sends beyond Deepgram's protocol, and what it is to be sent.

Fields of its ``Settings`` are in `tests.unit.translator`, whole conversations in `tests.end_to_end`.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.conversation import UpstreamProblem
from gateway.dialect import COMPONENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types


def component() -> Bench:
    return Bench(COMPONENT).configured()


# --- what it sends


def test_settings_a_second_time_reconfigure_and_are_held_while_a_response_is_active() -> None:
    """Row "component: `Settings` a second time"."""
    bench = component()
    bench.created("resp_1")
    bench.say(**SETTINGS)
    bench.translated(2)
    assert bench.release((2,)).to_upstream == []
    bench.done("resp_1")
    assert types(bench.release((2,)).to_upstream) == ["session.update"]
    assert types(bench.event("session.updated", session=effective()).messages) == ["SettingsApplied"]


def test_text_without_settings_is_kept() -> None:
    """Rows "component: `InjectUserMessage`", "component: text lost before the upstream opened", "component: context
    sent before the session was configured": before any `Settings`, sent once the session is configured, then echoed."""
    bench = Bench(COMPONENT)
    bench.event("session.created", session={})
    bench.say(type="InjectUserMessage", content="early")
    assert bench.translated(1, "item_1").to_upstream == []
    bench.say(**SETTINGS)
    bench.translated(2)
    bench.release((2,))
    sent = bench.event("session.updated", session=effective())
    assert types(sent.to_upstream) == ["conversation.item.create"]
    assert [(m["role"], m["content"]) for m in bench.item("item_1").messages] == [("user", "early")]


@pytest.mark.parametrize("fields", [{"content": "42"}, {"result": {"any": [1]}}, {"error": "no"}])
def test_function_results_in_every_shape(fields: dict[str, Any]) -> None:
    """Rows "component: `FunctionCallResponse`", "component: `AgentThinking`": taken in any shape, and acknowledged
    right after."""
    bench = component()
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    bench.done("resp_1")
    out = bench.say(type="FunctionCallResponse", id="call_1", **fields)
    assert types(out.messages) == ["AgentThinking"]
    assert out.to_publish == [2]


def test_keep_alive_before_settings_is_never_forwarded() -> None:
    """Row "component: `KeepAlive`"."""
    out = Bench(COMPONENT).say(type="KeepAlive")
    assert (out.messages, out.to_upstream, out.to_publish) == ([], [], [])


def test_another_type_is_an_error_and_the_socket_stays_open() -> None:
    """Row "component: any other JSON type"."""
    out = component().say(type="Sing")
    assert [message["code"] for message in out.messages] == ["disallowed_client_message_type"]
    assert out.ending is None


def test_audio_that_looks_like_json_is_audio() -> None:
    """Row "component: binary": decided by the opcode, never by the bytes."""
    bench = component()
    assert bench.conversation.client_audio(b'{"type":"Settings"}.', 0.0) == b'{"type":"Settings"}.'
    assert bench.conversation.drain().messages == []


# --- what it is sent


def test_settings_applied_follows_the_upstreams_confirmation() -> None:
    """Rows "component: `SettingsApplied`", "component: configuration acknowledged but never sent": never on
    ``session.created``."""
    bench = Bench(COMPONENT)
    bench.say(**SETTINGS)
    assert bench.event("session.created", session={}).messages == []
    bench.translated(1)
    assert bench.release((1,)).messages == []
    assert types(bench.event("session.updated", session=effective()).messages) == ["SettingsApplied"]


def test_the_greeting_is_text_only() -> None:
    """Row "component: greeting": text, then agent-done; nothing goes upstream for it."""
    bench = Bench(COMPONENT).configured(agent={**SETTINGS["agent"], "greeting": "Hello!"})
    assert types(bench.out.messages) == ["SettingsApplied", "ConversationText", "AgentAudioDone", "AgentDone"]
    assert (bench.out.to_upstream, bench.out.to_publish) == ([], [])


def test_speech_onset_and_end() -> None:
    """Rows "component: `UserStartedSpeaking`", "component: `UtteranceEnd`"."""
    bench = component()
    started = bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert types(started.messages) == ["UserStartedSpeaking"]
    stopped = bench.event("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=900)
    assert stopped.messages == [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.9}]


def test_transcripts() -> None:
    """Row "component: `Transcript`": interim ones accumulate the deltas of one item."""
    bench = component()
    kind = "conversation.item.input_audio_transcription"
    for delta, so_far in (("What", "What"), (" time", "What time")):
        (interim,) = bench.event(f"{kind}.delta", item_id="u", content_index=0, delta=delta).messages
        assert (interim["transcript"], interim["is_final"], interim["alternatives"][0]["transcript"]) == (
            so_far,
            False,
            so_far,
        )
    text, final = bench.event(f"{kind}.completed", item_id="u", content_index=0, transcript="What time?").messages
    assert (final["is_final"], final["speech_final"], text["role"]) == (True, True, "user")


def test_a_reply_is_told_once_and_ends_with_its_audio() -> None:
    """Rows "component: `ConversationText` assistant", "component: `AgentStartedSpeaking`", "component: `AgentAudioDone`
    and `AgentDone`", "component: agent-done before the audio ended"."""
    bench = component()
    bench.created("resp_1")
    part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    words = [{"type": "output_audio", "transcript": "Hello."}]
    item = {"id": "item_1", "type": "message", "role": "assistant", "status": "completed", "content": words}
    assert types(bench.audio("resp_1", "item_1", 20).messages) == ["AgentStartedSpeaking"]
    assert types(bench.event("conversation.item.done", item=item).messages) == ["ConversationText"]
    assert bench.event("response.output_item.done", response_id="resp_1", item=item).messages == []
    assert bench.done("resp_1").messages == [], "its audio has not ended"
    assert types(bench.event("response.output_audio.done", **part).messages) == ["AgentAudioDone", "AgentDone"]


def test_a_call_is_requested_once() -> None:
    """Row "component: `FunctionCallRequest`": one per call id, whichever upstream event names it first."""
    bench = component()
    bench.created("resp_1")
    assert types(bench.call("resp_1", "call_1").messages) == ["FunctionCallRequest"]
    assert bench.call("resp_1", "call_1").messages == []


@pytest.mark.parametrize("code", ["idle_timeout", "session_max_duration", "server_error"])
def test_upstream_codes_pass_through(code: str) -> None:
    """Row "component: `Error`"."""
    assert [message["code"] for message in component().error(code).messages] == [code]


def test_an_upstream_that_closes_too_early() -> None:
    """Row "component: `Error`": `upstream_closed_before_session_ready`."""
    bench = Bench(COMPONENT)
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011, early=True), 0.0)
    assert [m["code"] for m in bench.conversation.drain().messages] == ["upstream_closed_before_session_ready"]


def test_what_it_is_not_told() -> None:
    """Rows "component: nothing", "component: unknown upstream events shown as errors": unknown and control-only events,
    and the race that is recovered."""
    bench = component()
    for kind in ("rate_limits.updated", "conversation.item.truncated", "something.new"):
        assert bench.event(kind).messages == []
    assert bench.error("conversation_already_has_active_response").messages == []


def test_an_upstream_that_closes_in_a_reply_leaves_its_words() -> None:
    """Row "component: `Error`": expected ends follow the words of the reply in flight."""
    bench = component()
    bench.created("resp_1")
    part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    bench.event("response.output_audio_transcript.delta", **part, delta="Good")
    bench.audio("resp_1", "item_1", 20)
    bench.conversation.upstream_closed(UpstreamProblem("session_max_duration", "over", 1000), bench.now)
    out = bench.conversation.drain()
    assert types(out.messages) == ["ConversationText", "Error"]
    assert (out.messages[0]["content"], out.messages[1]["code"]) == ("Good", "session_max_duration")


def test_settings_without_audio_or_provider_are_taken() -> None:
    """The component may leave both out: linear16, 16 kHz in and 24 kHz out, and the installation's model."""
    bench = Bench(COMPONENT)
    bench.event("session.created", session={})
    assert bench.say(type="Settings", agent={"think": {"prompt": "Be kind."}}).to_publish == [1]
    event = bench.conversation.client_event(1)
    assert event is not None
    assert event.message["audio"]["input"]["sample_rate"] == 16_000
    assert event.message["agent"]["think"][0]["provider"] == {"type": "open_ai"}
