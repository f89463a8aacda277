"""What the turn record says besides the turn: what a session has used, and how near it is to its limits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.conversation.usage import Used
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


# --- limits


@pytest.mark.parametrize("age", [0.0, 500.0])
def test_a_record_says_when_the_session_began_and_when_it_ends(age: float) -> None:
    limits = Limits(session=7_200.0, session_notice=0.0, silence=0.0)
    one = Conversation("s", "g", AGENT, limits, 20.0, unix_offset=1_000_000.0, age=age)
    began = 1_000_020_000 - int(age) * 1_000
    record = one.record()
    assert (record.began_at_ms, record.ends_at_ms) == (began, began + 7_200_000)
    end = 20.0 + 7_200.0 - age
    one.tick(end - 0.1)
    assert one.ending is None
    one.tick(end)
    assert one.ending is not None
    assert Conversation("s", "g", AGENT, Limits(), 20.0).record().ends_at_ms is None


def test_a_record_says_how_many_requests_are_open_of_those_that_may_be() -> None:
    bench = Bench(AGENT, Limits(requests=8)).configured()
    assert bench.conversation.record().requests_percent == 0
    for seq in range(2, 8):
        bench.say(type="InjectUserMessage", content="Hi")
        assert bench.conversation.record().requests_percent == 100 * (seq - 1) // 8
    bench.refused(2)
    assert bench.conversation.record().requests_percent == 100 * 5 // 8
    large = Bench(AGENT, Limits(request_bytes=10_000)).configured()
    large.say(type="InjectUserMessage", content=8_500 * "x")
    assert large.conversation.record().requests_percent == 85


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


def test_an_end_that_is_reported_again_has_used_nothing_more() -> None:
    bench = Bench(AGENT).configured()
    replied(bench, "resp_1", USED)
    replied(bench, "resp_1", USED)
    assert bench.conversation.record().usage == ONCE
    for number in range(1_000):
        replied(bench, f"other_{number}")
    replied(bench, "resp_1", USED)
    assert bench.conversation.record().usage == ONCE


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
    used = Used()
    used.add("resp_1", usage)
    assert used.total is None
    used.add("resp_2", USED)
    used.add("resp_3", usage)
    assert used.total == ONCE


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
