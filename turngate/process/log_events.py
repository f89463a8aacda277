"""The events that the processes of all services log."""

from __future__ import annotations

from turngate.process.log_event import error, info, warning


@info()
def started(*, host: str, port: int) -> None:
    """The process has started and does its work; its HTTP for operators is at this address."""


@info()
def stopped() -> None:
    """The process has stopped in order."""


@error(
    "Read the error. The process stops and exits with code 1; if nothing starts it again, do that. A task that ends "
    "again and again is a defect: report it with the traceback."
)
def task_ended(*, task: str, how: str, error: str | None, exc_info: BaseException | None) -> None:
    """A background task that serves for the process's whole life has ended, so the process cannot do its work."""


@info("See `task_ended`, which was logged before.")
def exiting(*, task: str, code: int) -> None:
    """The process exits with this code, since a background task has ended."""


@error("Nothing more than for `task_ended`; sessions of a gateway may have ended without a word to their clients.")
def stop_timed_out(*, seconds: float) -> None:
    """A process whose background task has ended did not stop in order within this time, and is ended at once."""


@warning("Choose another model before that day (`TURNGATE_UPSTREAM_MODEL`, `TURNGATE_TRANSCRIPTION_MODEL`).")
def model_ends(*, model: str, on: str, replacement: str) -> None:
    """OpenAI switches this model off on that day. Logged at start."""


@error("Choose another model (`TURNGATE_UPSTREAM_MODEL`, `TURNGATE_TRANSCRIPTION_MODEL`), and restart the service.")
def model_has_ended(*, model: str, on: str, replacement: str) -> None:
    """OpenAI has switched this model off, by what it has announced: sessions with it are refused. Logged at start."""


@info("Nothing; the end dates that [turngate itself knows](operations.md#deploying) are checked.")
def models_not_listed(*, reason: str) -> None:
    """The upstream did not say in time which of its models end. Logged at start."""


@warning("Make what collects the logs read faster, or raise `TURNGATE_LOG_LEVEL`.")
def log_lines_dropped(*, lines: int) -> None:
    """So many lines were dropped before this one, since nobody read standard error while 10,000 lines waited."""
