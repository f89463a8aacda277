"""What all log lines of a stretch of work have in common, bound to the context of its task instead of being passed to
each call: the session that it is about, and the trace in which it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

import structlog
from structlog.contextvars import bind_contextvars, get_contextvars, reset_contextvars

#: The ``traceparent`` of what is done, or gives it when a line is logged; empty if that is not traced.
Span: TypeAlias = str | Callable[[], str]

_span: ContextVar[Span | None] = ContextVar("span", default=None)


@contextmanager
def about(session: str | None, span: Span | None = None) -> Iterator[None]:
    """Lines that are logged meanwhile, also by tasks that are started meanwhile, carry this session's id, and the
    ``trace_id`` of the ``span`` that there is then. With None, it is not known whose work this is, and nothing changes.
    """
    tokens = {} if session is None else bind_contextvars(session=session)
    before = None if span is None else _span.set(span)
    try:
        yield
    finally:
        reset_contextvars(**tokens)
        if before is not None:
            _span.reset(before)


@contextmanager
def on_server(name: str | None) -> Iterator[None]:
    """Lines that are logged meanwhile, also by tasks that are started meanwhile, say that they are about this Redis
    server. With None, there is only one, and nothing changes."""
    tokens = {} if name is None else bind_contextvars(server=name)
    try:
        yield
    finally:
        reset_contextvars(**tokens)


def server_in_context() -> str:
    """The Redis server that lines are about now; empty if there is only one."""
    return str(get_contextvars().get("server", ""))


def merge_trace(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor that adds the ``trace_id``, if what is done is traced."""
    span = _span.get()
    traceparent = span() if callable(span) else span
    if traceparent:
        line["trace_id"] = traceparent.split("-")[1]
    return line
