"""The events that session-state logs, and those who use its clients."""

from __future__ import annotations

from turngate.process.log_event import error, warning

_UNREADABLE = "Find out who has written to the key, and delete it; the session's gateway writes it again."


@warning("Find out what became of the gateway, if nobody has stopped it.")
def sessions_forgotten(*, sessions: int) -> None:
    """The heartbeat of so many sessions stopped without their end being published: their gateway has died, or cannot
    reach Redis."""


@error(_UNREADABLE, about_session=True)
def session_unreadable(*, reason: str) -> None:
    """The state of a session in Redis is not what this version writes. Its requests wait."""


@error(_UNREADABLE, about_session=True)
def journal_unreadable(*, reason: str) -> None:
    """The journal of a session in Redis is not what this version writes. Other gateways cannot go on with it."""


@error(_UNREADABLE, about_session=True)
def owner_unreadable(*, reason: str) -> None:
    """Who owns a session cannot be read in Redis, or what is known of it. Its client begins a new session."""


@warning("Nothing while a new version is being deployed. Otherwise report it.")
def watch_event_unreadable(*, reason: str) -> None:
    """What happened to a session could not be shown to those who watch it, since another version wrote it."""
