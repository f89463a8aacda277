"""Fixtures of the simulator's unit tests."""

from __future__ import annotations

import pytest

from tests.unit.turngate.simulator.client import Client


@pytest.fixture
def client() -> Client:
    """A connected client, configured for text output, without turn detection and so without automatic responses."""
    client = Client()
    client.configure(output_modalities=["text"], audio={"input": {"turn_detection": None}})
    return client
