"""A ``response.done`` with a value of a wrong type, or that is no JSON, is the end of its response all the same."""

from __future__ import annotations

import pytest

from tests.unit.gateway.bench import Bench
from turngate.protocol.messages import Slot
from turngate.simulator.unreadable import SHAPES, Shape

DONE = {
    "type": "response.done",
    "event_id": "event_1",
    "response": {
        "object": "realtime.response",
        "id": "resp_1",
        "conversation_id": "conv_1",
        "status": "completed",
        "status_details": None,
        "output": [],
        "output_modalities": ["audio"],
        "usage": None,
        "metadata": None,
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_frees_the_slot(shape: Shape) -> None:
    bench = Bench().configured()
    bench.event("response.created", response={"id": "resp_1", "status": "in_progress", "metadata": {}})
    assert bench.conversation.record().slot is Slot.ACTIVE
    bench.conversation.upstream_frame(shape(DONE), bench.now)
    assert bench.conversation.record().slot is Slot.IDLE
    assert bench.conversation.counters.malformed_events == 0
