"""A gateway's Prometheus metrics, collected from its sessions on request. Nothing is done on the per-frame path."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway import log_events
from gateway.admission.admission import Reason
from gateway.conversation.conversation import Conversation
from gateway.conversation.counters import Counters
from gateway.turn.requests import Kind

_RELEASE_LATENCY = Histogram(
    "turngate_release_latency_seconds",
    "Time from receiving response.done to sending the held session.update.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_REPLY_LATENCY = Histogram(
    "turngate_reply_latency_seconds",
    "Time from the end of the user's speech, or a typed message, to the first audio or text "
    "of the reply: what a caller feels.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)

_RESTORE_TIME = Histogram(
    "turngate_restore_seconds",
    "Time from the loss of an upstream connection until the conversation was restored on another one.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)

_SILENCE = Histogram(
    "turngate_silence_heard_seconds",
    "Silence that a client heard because an upstream connection was lost in a reply, or while one was due.",
    buckets=(0, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

_DRAINING = Gauge("turngate_draining", "1 while the gateway empties before it stops.")

#: The counters without labels, by the name of their field.
_COUNTERS = {
    "collisions_absorbed": "Creates that collided with an automatic response of the upstream and were tried again. "
    "Zero with TURNGATE_TURN_OWNER=gateway.",
    "answered_by_another": "Requests settled by a response that was not created for them.",
    "republished": "Client events published again because their request was not settled in time. It rises if "
    "translators or Redis are slow, or were restarted.",
    "floods": "Sessions that ended because their client sent messages that are too large, or too many.",
    "silent_responses": "Responses that were cancelled because they showed no event for "
    "TURNGATE_RESPONSE_SILENCE_MS. Should be zero.",
    "replies_retried": "Replies that failed for a passing reason (a rate limit, a server error) and were asked "
    "for again.",
    "restored": "Conversations that were restored on another upstream connection.",
    "rolled_over": "Upstream connections that were replaced before they ended.",
    "items_left_out": "Items of restored conversations that the upstream refused. Should be zero.",
    "given_up": "Requests that could not be executed in time, each reported to its client. Should be zero.",
    "parked": "Sessions whose client was lost, and which waited for it to return.",
    "not_returned": "Sessions whose client did not return in time.",
    "commands_fenced": "Commands that were ignored, because they are for another owner of their session.",
    "malformed_events": "Upstream events that could not be parsed.",
    "unknown_events": "Upstream events of unknown types; each type is logged once.",
}


def counters() -> Counters:
    """Counters that report to this process's registry. All conversations of the process share them."""
    return Counters(
        release_latency=_RELEASE_LATENCY.observe,
        reply_latency=_REPLY_LATENCY.observe,
        restore_time=_RESTORE_TIME.observe,
        silence_heard=_SILENCE.observe,
        first_unknown=_log_unknown,
    )


_CLIENTS_REFUSED = Counter(
    "turngate_clients_refused",
    f"Clients that were refused at the upgrade, by reason: {', '.join(Reason)}.",
    ["reason"],
)
for _reason in Reason:
    _CLIENTS_REFUSED.labels(_reason.value)


def client_refused(reason: Reason) -> None:
    """Count a client that was refused."""
    _CLIENTS_REFUSED.labels(reason.value).inc()


_CLIENTS_RETURNED = Counter(
    "turngate_clients_returned",
    "Clients that returned to their session, by what it was then: parked, or attached to an older connection.",
    ["session"],
)


def client_returned(*, parked: bool) -> None:
    """Count a client that returned."""
    _CLIENTS_RETURNED.labels("parked" if parked else "attached").inc()


def draining(begun: Callable[[], bool]) -> None:
    """``begun`` tells whether the gateway empties."""
    _DRAINING.set_function(begun)


def _log_unknown(kind: str) -> None:
    log_events.unknown_upstream_event(event_type=kind)


class SessionMetrics(Collector):
    """Collects the metrics of all sessions. Register it once per process."""

    def __init__(
        self,
        counters: Counters,
        conversations: Callable[[], Iterable[Conversation]],
        held_bytes: Callable[[], int] = lambda: 0,
        parked: Callable[[], int] = lambda: 0,
    ) -> None:
        """``held_bytes`` returns what the sessions held when it was last measured; ``parked`` how many have no client
        now."""
        self._counters = counters
        self._parked = parked
        self._held_bytes = held_bytes
        self._conversations = conversations

    def register(self) -> None:
        REGISTRY.register(self)

    def unregister(self) -> None:
        REGISTRY.unregister(self)

    def collect(self) -> Iterator[Metric]:
        dropped = CounterMetricFamily(
            "turngate_releases_dropped",
            "Releases that were not sent: the slot was not free any more (occupied), or their "
            "requests were settled or in flight (stale). Harmless.",
            labels=["reason"],
        )
        for reason, count in self._counters.releases_dropped.items():
            dropped.add_metric([reason], count)
        yield dropped
        cut = CounterMetricFamily(
            "turngate_peers_cut",
            "Clients and upstreams that were disconnected because they read nothing (stalled) or too "
            "little (overflowed).",
            labels=["peer", "reason"],
        )
        for (peer, why), count in self._counters.cut.items():
            cut.add_metric([peer, why], count)
        yield cut
        legs = CounterMetricFamily(
            "turngate_upstream_legs_lost",
            "Upstream connections that were lost and replaced, by the reason's code.",
            labels=["reason"],
        )
        for code, count in self._counters.legs_lost.items():
            legs.add_metric([code], count)
        yield legs
        for name, meaning in _COUNTERS.items():
            yield CounterMetricFamily(f"turngate_{name}", meaning, value=getattr(self._counters, name))
        yield GaugeMetricFamily(
            "turngate_held_bytes",
            "Bytes of requests, early audio and unsent or unread messages of all sessions; new "
            "clients are refused beyond TURNGATE_SESSIONS_MAX_BYTES.",
            self._held_bytes(),
        )
        yield GaugeMetricFamily("turngate_sessions_parked", "Sessions that wait for their client.", self._parked())
        yield from self._sessions()

    def _sessions(self) -> Iterator[Metric]:
        now = time.monotonic()
        sessions = GaugeMetricFamily("turngate_sessions", "Live sessions by the state of their slot.", labels=["slot"])
        outstanding = GaugeMetricFamily(
            "turngate_requests_outstanding", "Unsettled requests by kind: held, or in flight.", labels=["kind"]
        )
        slots: dict[str, int] = {}
        kinds = dict.fromkeys(Kind, 0)
        oldest = now
        for conversation in self._conversations():
            slots[conversation.context.turn.slot] = slots.get(conversation.context.turn.slot, 0) + 1
            for request in conversation.context.requests:
                kinds[request.kind] += 1
                oldest = min(oldest, request.accepted_at)
        for slot, count in slots.items():
            sessions.add_metric([slot], count)
        for kind, count in kinds.items():
            outstanding.add_metric([kind.value], count)
        yield sessions
        yield outstanding
        yield GaugeMetricFamily(
            "turngate_oldest_request_seconds",
            "Age of the oldest unsettled request. It follows the longest reply; minutes mean that something is stuck.",
            now - oldest,
        )
