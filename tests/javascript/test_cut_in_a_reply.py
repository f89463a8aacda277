"""A client's connection is cut in the middle of a reply: programs that run unchanged in Node and in a real browser."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.client import received, record_with
from tests.javascript.node import run
from tests.programs import path_in_test
from turngate.local.stack import Stack
from turngate.simulator.session_config import DEFAULT_VOICE
from turngate.simulator.speech import speak, syllable_ms

pytestmark = pytest.mark.asyncio(loop_scope="session")

_GREETING = "Welcome to the show."
_ASKED = ("[say 60 words]", "What are your instructions?")


@pytest.fixture(params=["node", "chromium"])
def runtime(request: pytest.FixtureRequest) -> list[str]:
    """The script that runs a program, and its first arguments."""
    if request.param == "node":
        return ["in_node.mjs"]
    return ["in_chromium.mjs", path_in_test("chromium")]


@pytest.mark.parametrize("cut", ["reset", "end"])
@pytest.mark.parametrize("program", ["sdk", "module"])
async def test_a_reply_goes_on_after_a_cut(stack: Stack, runtime: list[str], program: str, cut: str) -> None:
    """``sdk``: Deepgram's JavaScript SDK returns by itself; ``module``: `turngate/console/resume.js` does."""
    prompt = f"Mind the cat {uuid4().hex}."
    said = await run(*runtime, program, cut, stack.gateway_url.rpartition(":")[2], "any-key", prompt)

    first, second = _of_type(said, "Welcome")
    assert "resumed" not in first
    assert (second["request_id"], second["resumed"]) == (first["request_id"], True)
    words = [message["content"] for message in _of_type(said, "ConversationText") if message["role"] == "assistant"]
    assert words[0] == _GREETING
    assert len(words[1].split()) == 60
    # What was updated is in force, although the SDK's program has sent its Settings again.
    assert prompt in words[2]
    assert len(words) == len(_of_type(said, "AgentAudioDone")) == 3
    assert not [one for one in said if "error" in one or one.get("type") in ("Error", "Warning")]

    if program == "module":
        assert {"returned": True} in said
        assert {"closed": 1000} in said
        assert [len(_of_type(said, kind)) for kind in ("SettingsApplied", "PromptUpdated")] == [1, 1]

    _check_audio(_audio(said, "audio"), _audio(said, "passed"), [_audio_of(reply) for reply in words])
    await _check_upstream(stack, prompt)


def _check_audio(heard: list[bytes], passed: list[bytes], replies: list[bytes]) -> None:
    """What came before the cut is the beginning, what came after it is the rest, and nothing came twice. ``heard``: of
    the long reply, by connection; ``passed``: what the server sent, by connection."""
    before, after = heard
    _, long, last = replies
    assert before
    assert after
    assert long.startswith(before)
    assert long.endswith(after)
    assert passed[1] == after + last
    everything = b"".join(replies)
    assert everything.startswith(passed[0])
    # Less if something was under way when the connection was cut.
    assert len(passed[0]) + len(passed[1]) <= len(everything)


async def _check_upstream(stack: Stack, prompt: str) -> None:
    """The model has seen one conversation, and was asked for one reply to each of three."""
    record = await record_with(stack, prompt)
    items = [entry["event"]["item"] for entry in received(record, "conversation.item.create")]
    texts = [part["text"] for item in items for part in item["content"] if item["role"] == "user"]
    assert texts == list(_ASKED)
    assert len(received(record, "response.create")) == 3
    assert record["violations"] == []


def _of_type(said: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in said if message.get("type") == kind]


def _audio(said: list[dict[str, Any]], kind: str) -> list[bytes]:
    """The audio of each connection."""
    (printed,) = [one[kind] for one in said if kind in one]
    assert len(printed) == 2
    return [bytes.fromhex(audio) for audio in printed]


def _audio_of(words: str) -> bytes:
    """What the simulator sends for these words."""
    pieces = speak(words, "audio/pcm", DEFAULT_VOICE, syllable_ms(1.0), 2)
    return b"".join(b64decode(audio) for piece in pieces for audio in piece.audio)
