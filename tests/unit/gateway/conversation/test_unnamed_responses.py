"""Responses whose id the upstream leaves out: their end must free the turn all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.gateway.bench import Bench
from turngate.protocol.messages import Slot


def slot(bench: Bench) -> Slot:
    return bench.conversation.record().slot


@pytest.mark.parametrize("response", [None, {}, {"status": "completed"}, {"id": None}])
def test_a_done_that_names_no_response_ends_the_one_that_holds_the_slot(response: Any) -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.event("response.done", response=response)
    assert slot(bench) is Slot.IDLE
    bench.done("resp_1")
    assert slot(bench) is Slot.IDLE, "the same end again changes nothing"


def test_a_done_that_names_no_response_is_an_answer_to_our_create() -> None:
    bench = Bench().configured()
    request = bench.requested(2)
    bench.event("response.done", response={"metadata": {"turngate": request}})
    assert slot(bench) is Slot.IDLE
    assert bench.conversation.record().open_responses == ()


@pytest.mark.parametrize("end", [{}, {"id": "resp_1", "conversation_id": "conv"}])
def test_a_response_that_began_without_an_id_ends_with_the_next_end(end: dict[str, Any]) -> None:
    bench = Bench().configured()
    bench.event("response.created", response={})
    assert slot(bench) is Slot.ACTIVE
    bench.done("aside", conversation=None)
    assert slot(bench) is Slot.ACTIVE, "an out-of-band response frees nothing"
    bench.event("response.done", response=end)
    assert slot(bench) is Slot.IDLE


def test_two_responses_without_an_id_are_two() -> None:
    bench = Bench().configured()
    for _ in range(2):
        bench.event("response.created", response={})
        assert slot(bench) is Slot.ACTIVE
        bench.event("response.done", response={})
        assert slot(bench) is Slot.IDLE
