"""One client for each test."""

from __future__ import annotations

import pytest

from tests.unit.turngate.simulator.driver import Client


@pytest.fixture
def client() -> Client:
    """Connected, configured for text, with the server never answering a turn by itself."""
    client = Client()
    client.configure(output_modalities=["text"], audio={"input": {"turn_detection": None}})
    return client
