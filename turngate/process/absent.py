"""Imports of libraries without what they import beside, if nobody uses it here: it costs time at start and memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def absent(package: str) -> Iterator[None]:
    """What is imported meanwhile does not find this package, unless it is in use already."""
    loaded: dict[str, Any] = sys.modules
    if package in loaded:
        yield
        return
    loaded[package] = None
    try:
        yield
    finally:
        del loaded[package]
