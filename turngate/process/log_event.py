"""Events of the log, each declared once: its name, level, fields, what it means, and what an operator does.

A package declares its events in a module ``log_events``, as functions without a body, and logs one by calling it:

    @warning("Restart more translators.", about_session=True)
    def request_lost(*, seq: int) -> None:
        \"\"\"A request was lost.\"\"\"

    log_events.request_lost(seq=3)

There is no other way to log, so docs/logs.md, which `make docs` makes from the declarations, has every event. The
levels are those of operators: an **error** has somebody called, a **warning** is looked at on the same day, an
**info** is a step in the life of a process or a session, and **debug** is for developers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Generic, Literal, ParamSpec, Protocol, TypeAlias

import structlog

Fields = ParamSpec("Fields")
Level: TypeAlias = Literal["error", "warning", "info", "debug"]

#: What is done about most events that are no trouble.
NOTHING = "Nothing."
#: The field that structlog turns into a traceback, and the name under which that is in the line.
_ERROR, _TRACEBACK = "exc_info", "exception"


class LogEvent(Generic[Fields]):
    """A declared event. Call it with its fields to log it."""

    def __init__(self, declared: Callable[Fields, None], level: Level, remedy: str, *, about_session: bool) -> None:
        """``remedy`` is what an operator does; ``about_session`` says that lines carry the session's id
        (`turngate.process.log_context.about`)."""
        self.name = declared.__name__
        self.level = level
        self.meaning = inspect.cleandoc(declared.__doc__ or "").replace("\n", " ")
        self.remedy = remedy
        self.about_session = about_session
        self.parameters = tuple(inspect.signature(declared).parameters)
        self._logger = structlog.get_logger(declared.__module__.removesuffix(".log_events"))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of its lines, beside those that every line has."""
        own = tuple(_TRACEBACK if name == _ERROR else name for name in self.parameters)
        return (*(("session",) if self.about_session else ()), *own)

    def __call__(self, *args: Fields.args, **fields: Fields.kwargs) -> None:
        """Log the event. Never on the path of audio."""
        getattr(self._logger, self.level)(self.name, **fields)


class _Declare(Protocol):
    """Makes an event of a declaration."""

    def __call__(self, declared: Callable[Fields, None]) -> LogEvent[Fields]: ...


def error(remedy: str, *, about_session: bool = False) -> _Declare:
    """Declare an event for which somebody is called."""
    return _declare("error", remedy, about_session)


def warning(remedy: str, *, about_session: bool = False) -> _Declare:
    """Declare an event that somebody looks at on the same day."""
    return _declare("warning", remedy, about_session)


def info(remedy: str = NOTHING, *, about_session: bool = False) -> _Declare:
    """Declare a step in the life of a process or a session."""
    return _declare("info", remedy, about_session)


def debug(remedy: str = NOTHING, *, about_session: bool = False) -> _Declare:
    """Declare an event for developers."""
    return _declare("debug", remedy, about_session)


def declared_in(module: ModuleType) -> list[LogEvent[...]]:
    """The events that this module declares."""
    return [value for value in vars(module).values() if isinstance(value, LogEvent)]


def _declare(level: Level, remedy: str, about_session: bool) -> _Declare:
    def declare(declared: Callable[Fields, None]) -> LogEvent[Fields]:
        return LogEvent(declared, level, remedy, about_session=about_session)

    return declare
