"""Imports of redis-py and FastStream without OpenTelemetry, which both import where it is installed. They do not use it
here, and it costs time at start and memory.

Importing this module imports redis-py: do that before any module that uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_opentelemetry() -> Iterator[None]:
    """What is imported meanwhile finds no OpenTelemetry, unless it is in use already."""
    loaded: dict[str, Any] = sys.modules
    if "opentelemetry" in loaded:
        yield
        return
    loaded["opentelemetry"] = None
    try:
        yield
    finally:
        del loaded["opentelemetry"]


with without_opentelemetry():
    import redis.asyncio
    import redis.observability.providers  # noqa: F401
