"""The events that the supervisor of a gateway's workers logs."""

from __future__ import annotations

from turngate.process.log_event import error, info, warning


@info()
def workers_started(*, workers: int, address: str) -> None:
    """The workers of a gateway serve clients at this address."""


@info()
def worker_started(*, worker: int, pid: int, seconds: float) -> None:
    """A worker serves clients."""


@error(
    "Read what the worker logged before; one that was killed by SIGKILL may have met the limit of memory. Clients that "
    "can return have gone on at other workers or gateways."
)
def worker_died(*, worker: int, pid: int, how: str, pause: float) -> None:
    """A worker has ended, although nobody asked it to. It is started again after this many seconds."""


@error("Read the reason. The worker is tried again a few times; the others serve clients meanwhile.")
def worker_not_started(*, worker: int, reason: str) -> None:
    """A worker could not be started."""


@error("Read why it died. Start the gateway again, if nothing does that by itself.")
def worker_given_up(*, worker: int, restarts: int) -> None:
    """A worker has died again and again. The gateway stops in order and exits with code 1."""


@error("Report it, with the worker's last lines. It is killed and started again.")
def worker_stuck(*, worker: int, pid: int, seconds: float) -> None:
    """A worker has not answered for this long."""


@info()
def worker_left(*, worker: int, pid: int) -> None:
    """A worker that was asked to stop has stopped."""


@warning("Nothing, if it was meant; its sessions ended without a word to their clients.")
def worker_killed(*, worker: int, pid: int) -> None:
    """A worker that was asked to stop did not do so in time, and was killed."""


@info()
def workers_being_replaced(*, workers: int) -> None:
    """The workers are replaced one by one (SIGHUP)."""


@info()
def workers_replaced(*, workers: int) -> None:
    """All workers have been replaced."""


@error("Read why the new worker did not become ready. The workers that were not replaced go on.")
def workers_not_replaced(*, worker: int, reason: str) -> None:
    """Replacing the workers has ended before all were replaced."""
