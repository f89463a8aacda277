"""The events of Redis and the streams."""

from __future__ import annotations

from collections.abc import Sequence

from turngate.process.log_event import error, info, warning


@warning("Find out why Redis cannot be reached, if it lasts. Conversations go on meanwhile; what must wait, waits.")
def redis_unreachable(*, kind: str, doing: str, error: str, unlogged: int) -> None:
    """Redis did not answer. Logged at most every 10 seconds; `unlogged` counts what was not logged since the line
    before."""


@warning("By its kind: free memory (`OOM`), find the primary (`READONLY`), grant the command (`NOPERM`), and so on.")
def redis_refuses(*, kind: str, doing: str, error: str, unlogged: int) -> None:
    """Redis answered with an error that concerns the whole server. Logged at most every 10 seconds for each kind."""


@warning("Set Redis's `maxmemory-policy` to `noeviction`: a stream that is evicted takes its consumer groups with it.")
def redis_may_evict(*, policy: object, remedy: str) -> None:
    """Redis may evict keys when its memory is full. Logged at start."""


@warning("Start more consumers of this stream, or find out why those that run are slow.")
def stream_trimmed(*, stream: str, size: int, limit: int, dropped: int, kept: int) -> None:
    """The oldest entries of a stream were dropped, since nobody handled them and it was larger than its limit. Those
    that still matter are published again."""


@warning("Start it, or take it out of `TURNGATE_REDIS_URLS` when its sessions have ended.")
def server_away(*, error: str) -> None:
    """One of several Redis servers did not answer at start (`server`). The process works with the others, and with this
    one when it comes."""


@info()
def server_came() -> None:
    """One of several Redis servers, which did not answer at start (`server`), works now."""


@info("Nothing; what was left expires, or is removed by other processes.")
def leaving_failed(*, streams: Sequence[str], error: str) -> None:
    """Redis did not answer a process that stopped, so its names in consumer groups, or its stream, are still there."""


@warning("Start the services that are missing, if they do not come by themselves; the gateway is not ready until then.")
def services_missing(*, missing: Sequence[str]) -> None:
    """A gateway sees no living process of these services."""


@info()
def services_complete() -> None:
    """A gateway sees a living process of every service that it needs."""


@warning("Find out why Redis has lost data (a restart without persistence, a failover, `FLUSHALL`).")
def consumers_revived(*, streams: Sequence[str]) -> None:
    """Consumer groups were gone, and were created again; open requests are published again, and nothing is lost."""


@warning("Read the reason. The entry is tried again, and given up in the end (`entry_given_up`).", about_session=True)
def entry_failed(*, stream: str, entry: str, reason: str) -> None:
    """An entry of a stream could not be handled; others are not affected. Without `session` if the entry cannot be
    read."""


@error("Report it with the traceback: it is a defect. The entries stay pending, and are delivered again.")
def delivery_failed(*, stream: str, entries: int, exc_info: BaseException) -> None:
    """Entries that were read together could not be handled, nor isolated."""


@warning("See `redis_refuses`, logged before: Redis needs help.")
def entries_dropped(*, stream: str, entries: int, reason: str) -> None:
    """Redis refused what these entries needed until patience ended. Those that still matter are published again."""


@warning("Nothing, after a loss of data in Redis. Otherwise report it: the entries are handled once more.")
def not_acknowledged(*, stream: str, entries: int, error: str) -> None:
    """Redis refused to acknowledge entries that were handled."""


@info()
def consumers_removed(*, stream: str, consumers: Sequence[str]) -> None:
    """Consumers whose processes are gone were removed from a stream's group."""


@error(
    "Look at the entry (`XRANGE turngate.dead-letters - +`) and report it: it is a defect, or two versions do not "
    "understand each other.",
    about_session=True,
)
def entry_given_up(*, stream: str, entry: str, deliveries: int, reason: str, dead_letter: bool) -> None:
    """An entry failed as often as it may, and was put to the dead letters, or dropped if `dead_letter` is false. A
    client whose request it was is told."""


@error("Report it with the traceback: it is a defect. The entry stays pending.", about_session=True)
def giving_up_failed(*, stream: str, entry: str, exc_info: BaseException) -> None:
    """An entry failed as often as it may, and whoever it concerns could not be told."""
