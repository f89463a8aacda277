"""The two dialects: found by path and by name, and different where their clients are."""

from __future__ import annotations

import pytest

from gateway.dialect import AGENT, BY_NAME, COMPONENT, DIALECTS, Dialect
from turngate.protocol.deepgram import ClientProtocolError, parse_client_message


def test_a_dialect_is_found_by_its_path_and_by_its_name() -> None:
    assert {"/v1/agent/converse": AGENT, "/openai": COMPONENT} == DIALECTS
    assert {"agent": AGENT, "component": COMPONENT} == BY_NAME


@pytest.mark.parametrize(
    ("dialect", "frame", "code"),
    [
        (AGENT, '{"type":"Nonsense"}', "UNPARSABLE_CLIENT_MESSAGE"),
        (COMPONENT, '{"type":"Nonsense"}', "disallowed_client_message_type"),
        (COMPONENT, "{", "UNPARSABLE_CLIENT_MESSAGE"),
    ],
)
def test_an_error_has_the_code_that_the_dialects_clients_know(dialect: Dialect, frame: str, code: str) -> None:
    with pytest.raises(ClientProtocolError) as caught:
        parse_client_message(frame, strict=dialect.strict_fields)
    assert dialect.code_of(caught.value) == code
