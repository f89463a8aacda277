"""The trace to which a client says that its connection belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from turngate.tracing.spans import is_traceparent

#: What an id may look like that is no ``traceparent``.
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def client_trace(headers: Sequence[str], query: Mapping[str, Sequence[str]]) -> str:
    """The ``traceparent`` of the header or, for browsers, of the query; or else the component's ``traceId``, which may
    be any id. Empty if there is none that can be used: the client is served in any case."""
    offered = [*headers, *query.get("traceparent", ())]
    traceparent = next((one.strip() for one in offered if is_traceparent(one.strip())), "")
    return traceparent or next(filter(_ID.fullmatch, query.get("traceId", ())), "")
