"""What the turn record says besides the turn: what a session has used."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.conversation.usage import added
from gateway.dialect import AGENT
from tests.unit.gateway.bench import Bench, Out
from tests.unit.gateway.owner_bench import WAYS, Way, killed, ready
from turngate.protocol.messages import TurnRecord, Usage

USED: dict[str, Any] = {
    "total_tokens": 130,
    "input_tokens": 100,
    "output_tokens": 30,
    "input_token_details": {"text_tokens": 60, "audio_tokens": 40, "cached_tokens": 50},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
}
ONCE = Usage(
    input_tokens=100,
    input_text_tokens=60,
    input_audio_tokens=40,
    cached_tokens=50,
    output_tokens=30,
    output_text_tokens=10,
    output_audio_tokens=20,
)
TWICE = Usage(**{name: 2 * number for name, number in ONCE})


def replied(bench: Bench, response_id: str, usage: Any = None, conversation: str | None = "conv") -> Out:
    """A response of the upstream, from its beginning to its end."""
    bench.created(response_id, conversation=conversation)
    response: dict[str, Any] = {"id": response_id, "status": "completed", "conversation_id": conversation, "output": []}
    return bench.event("response.done", response={**response, "usage": usage})


# --- usage


def test_what_responses_have_used_is_added_up_from_the_first_that_says_it() -> None:
    bench = Bench(AGENT).configured()
    replied(bench, "resp_1")
    assert bench.conversation.record().usage is None
    replied(bench, "resp_2", USED)
    assert bench.conversation.record().usage == ONCE
    replied(bench, "resp_3", USED)
    replied(bench, "resp_4")
    assert bench.conversation.record().usage == TWICE


def test_a_response_without_an_id_or_of_no_conversation_has_used_tokens_too() -> None:
    bench = Bench(AGENT).configured()
    replied(bench, "", USED)
    replied(bench, "resp_2", USED, conversation=None)
    assert bench.conversation.record().usage == TWICE


def test_what_was_used_is_no_reason_for_a_record_of_its_own() -> None:
    bench = Bench(AGENT).configured()
    bench.created("side", conversation=None)
    before = bench.conversation.record()
    response: dict[str, Any] = {
        "id": "side",
        "status": "completed",
        "conversation_id": None,
        "output": [],
        "usage": USED,
    }
    assert not bench.event("response.done", response=response).turn_changed
    assert bench.conversation.record() == before.model_copy(update={"usage": ONCE})


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"input_tokens": "12", "output_tokens": True},
        {"input_tokens": -1, "input_token_details": 7},
        {"output_tokens": 10**30},
    ],
)
def test_what_is_no_number_of_tokens_is_not_counted(usage: Any) -> None:
    assert added(None, usage) is None
    assert added(ONCE, usage) == ONCE


@WAYS
def test_what_was_used_is_known_at_the_next_gateway(moved: Way) -> None:
    owner = ready()
    replied(owner, "resp_1", USED)
    later = moved(owner)
    assert later.conversation.record().usage == ONCE
    later.restored()
    replied(later, "resp_2", USED)
    assert later.conversation.record().usage == TWICE


def test_a_journal_and_a_record_of_an_earlier_version_say_nothing_of_it() -> None:
    owner = ready()
    replied(owner, "resp_1", USED)
    about = orjson.loads(owner.written["about"])
    del about["usage"]
    owner.written["about"] = orjson.dumps(about)
    assert killed(owner).conversation.record().usage is None
    earlier = owner.conversation.record().model_dump(mode="json", exclude={"usage"})
    assert TurnRecord.model_validate(earlier).usage is None
