"""The trace that a client names."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.admission.client_trace import client_trace

_ONE, _OTHER = (f"00-{letter * 32}-{letter * 16}-01" for letter in "ab")


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [
        ([], {}, ""),
        ([f" {_ONE} "], {"traceparent": [_OTHER]}, _ONE),
        (["broken"], {"traceparent": [_OTHER], "traceId": ["call-7"]}, _OTHER),
        ([], {"traceId": ["call-7"]}, "call-7"),
        ([], {"traceId": ["two\nlines", "x" * 65, ""]}, ""),
        ([f"00-{'0' * 32}-{'a' * 16}-01"], {}, ""),
        ([f"00-{'a' * 32}-{'0' * 16}-01"], {}, ""),
        ([f"ff-{'a' * 32}-{'a' * 16}-01"], {}, ""),
    ],
)
def test_a_trace_that_can_be_used_is_found_and_nothing_else(
    headers: list[str], query: dict[str, Any], found: str
) -> None:
    assert client_trace(headers, query) == found
