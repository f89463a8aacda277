"""The metrics of the supervisor of a gateway's workers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SERVING = Gauge(
    "turngate_gateway_workers_serving", "Workers of a gateway that serve clients (TURNGATE_GATEWAY_WORKERS)."
)
RESTARTS = Counter("turngate_gateway_workers_restarts", "Workers that died and were started again. Should be zero.")
