"""The events of traces."""

from __future__ import annotations

from turngate.process.log_event import info


@info("Nothing; unset the variable if there is to be none.")
def traces_on(*, asked_by: str, words: bool) -> None:
    """Traces are sent, since this variable is set. `words` says whether they contain what people and the model say."""
