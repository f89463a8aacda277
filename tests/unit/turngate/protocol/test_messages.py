"""The names of the streams."""

from __future__ import annotations

from turngate.protocol.messages import PREFIX, commands_stream


def test_each_gateway_has_its_own_commands_stream() -> None:
    assert commands_stream("a") != commands_stream("b")
    assert commands_stream("a").startswith(PREFIX)
