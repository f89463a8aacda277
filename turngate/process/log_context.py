"""What all log lines of a stretch of work have in common, bound to the context of its task instead of being passed to
each call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, reset_contextvars


@contextmanager
def about(session: str | None) -> Iterator[None]:
    """Lines that are logged meanwhile, also by tasks that are started meanwhile, carry this session's id. With None,
    it is not known whose work this is, and nothing changes.

    This is the one place that binds it: an id of the session's trace belongs here too.
    """
    if session is None:
        yield
        return
    tokens = bind_contextvars(session=session)
    try:
        yield
    finally:
        reset_contextvars(**tokens)
