"""The events that a translator logs."""

from __future__ import annotations

from turngate.process.log_event import warning


@warning(
    "Look at the session (`turngate sessions ID`): [a turn may be stuck](debugging-a-stuck-turn.md), or its client "
    "sends too much.",
    about_session=True,
)
def intents_full(*, seq: int) -> None:
    """A request could not be held, since as many of its session are held as may be. Its gateway asks again."""
