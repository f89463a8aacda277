"""Generates infra/grafana/dashboards from the tables below.

``python -m tools.docs.dashboards`` compares the files (`make check`); ``--write`` writes them (`make docs`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "infra/grafana/dashboards"
#: Columns of a dashboard, and of a panel.
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: its title, what it means, its unit (Grafana's name), and its expressions by legend."""

    title: str
    about: str
    unit: str
    series: dict[str, str]


def _rate(metric: str, by: str = "") -> str:
    """Events per second of a counter."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[$__rate_interval])))"


def _quantiles(metric: str) -> dict[str, str]:
    return {f"p{round(share * 100)}": _quantile(share, metric) for share in (0.5, 0.95, 0.99)}


#: How the fleet is: processes, streams, Redis, and limits.
SERVICE = (
    Panel("Processes", "Processes that answer.", "short", {"{{job}}": 'count by (job) (up{job=~"turngate-.*"} == 1)'}),
    Panel(
        "Sessions",
        "Live sessions by the state of their slot.",
        "short",
        {"{{slot}}": "sum by (slot) (turngate_sessions)"},
    ),
    Panel("Draining", "Gateways that empty before they stop.", "short", {"gateways": "sum(turngate_draining)"}),
    Panel("CPU", "Cores that are used.", "short", {"{{job}}": _rate("process_cpu_seconds_total", "job")}),
    Panel("Memory", "Resident memory.", "bytes", {"{{job}}": "sum by (job) (process_resident_memory_bytes)"}),
    Panel(
        "Held by sessions", "Requests, early audio and unread messages.", "bytes", {"bytes": "sum(turngate_held_bytes)"}
    ),
    Panel(
        "Entries handled",
        "Entries of the streams per second.",
        "ops",
        {"{{stream}}": _rate("turngate_entries_handled_total", "stream")},
    ),
    Panel(
        "Stream sizes",
        "Near zero while consumers keep up.",
        "bytes",
        {"{{stream}}": "sum by (stream) (max by (stream, server) (turngate_stream_bytes))"},
    ),
    Panel(
        "Redis servers",
        "Live sessions of each; and 0 for one whose requests are not answered.",
        "short",
        {
            "sessions {{server}}": "max by (server) (turngate_sessions_known)",
            "works {{server}}": "max by (server) (turngate_redis_works)",
        },
    ),
    Panel(
        "Failures",
        "Deliveries that failed, entries given up, and commands that Redis refused.",
        "ops",
        {
            "failed {{stream}}": _rate("turngate_entries_failed_total", "stream"),
            "dead letters {{stream}}": _rate("turngate_dead_letters_total", "stream"),
            "Redis {{kind}}": _rate("turngate_redis_errors_total", "kind"),
        },
    ),
    Panel(
        "Clients refused",
        "At the upgrade, by reason.",
        "ops",
        {"{{reason}}": _rate("turngate_clients_refused_total", "reason")},
    ),
    Panel(
        "Peers cut",
        "Clients and upstreams that did not read.",
        "ops",
        {"{{peer}} {{reason}}": _rate("turngate_peers_cut_total", "peer, reason")},
    ),
    Panel(
        "Moves between gateways",
        "Sessions handed over, and taken up; incomplete: something is lost.",
        "ops",
        {
            "handed over, {{entry}}": _rate("turngate_sessions_handed_over_total", "entry"),
            "taken up, {{journal}}": _rate("turngate_sessions_taken_up_total", "journal"),
        },
    ),
)

#: What callers feel: latencies, what is held, and what is lost.
CONVERSATIONS = (
    Panel(
        "Reply latency",
        "From the end of the user's speech, or a typed message, to the first audio or text of the reply.",
        "s",
        _quantiles("turngate_reply_latency_seconds"),
    ),
    Panel(
        "Held configuration",
        "From the end of a response to the configuration that waited for it.",
        "s",
        _quantiles("turngate_release_latency_seconds"),
    ),
    Panel(
        "Oldest request",
        "It follows the longest reply; more means that something hangs.",
        "s",
        {"oldest": "max(turngate_oldest_request_seconds)"},
    ),
    Panel(
        "Requests",
        "Unsettled requests: held, or in flight.",
        "short",
        {"{{kind}}": "sum by (kind) (turngate_requests_outstanding)"},
    ),
    Panel(
        "Collisions",
        "Requests that met a response of the upstream's own, late releases, and requests answered by another response.",
        "ops",
        {
            "absorbed": _rate("turngate_collisions_absorbed_total"),
            "dropped, {{reason}}": _rate("turngate_releases_dropped_total", "reason"),
            "answered by another": _rate("turngate_answered_by_another_total"),
        },
    ),
    Panel(
        "Trouble told to clients",
        "Requests given up, and replies asked for again. Given up should be zero.",
        "ops",
        {
            "given up": _rate("turngate_given_up_total"),
            "replies retried": _rate("turngate_replies_retried_total"),
            "silent responses": _rate("turngate_silent_responses_total"),
        },
    ),
    Panel(
        "Connections to the model lost",
        "By reason.",
        "ops",
        {"{{reason}}": _rate("turngate_upstream_legs_lost_total", "reason")},
    ),
    Panel(
        "Silence heard",
        "Because a connection was lost in a reply or before it.",
        "s",
        _quantiles("turngate_silence_heard_seconds"),
    ),
    Panel("Restored in", "From a loss to a restored conversation.", "s", _quantiles("turngate_restore_seconds")),
    Panel(
        "Roll-overs",
        "Connections that were replaced before they ended.",
        "ops",
        {"roll-overs": _rate("turngate_rolled_over_total")},
    ),
    Panel(
        "Parked", "Sessions that wait for their client to return.", "short", {"parked": "sum(turngate_sessions_parked)"}
    ),
    Panel(
        "Clients that return",
        "To a parked session, or beside an older connection; and those that did not return in time.",
        "ops",
        {
            "{{session}}": _rate("turngate_clients_returned_total", "session"),
            "not returned": _rate("turngate_not_returned_total"),
        },
    ),
)
DASHBOARDS = {"service": ("turngate: service", SERVICE), "conversations": ("turngate: conversations", CONVERSATIONS)}


def dashboard(name: str) -> dict[str, Any]:
    """The dashboard of this name, as Grafana reads it."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"turngate-{name}",
        "title": title,
        "tags": ["turngate"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": [_panel(place, panel) for place, panel in enumerate(panels)],
    }


def _panel(place: int, panel: Panel) -> dict[str, Any]:
    per_row = _COLUMNS // _WIDTH
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": {"x": place % per_row * _WIDTH, "y": place // per_row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": expression, "legendFormat": legend}
            for number, (legend, expression) in enumerate(panel.series.items())
        ],
    }


def files() -> dict[Path, str]:
    """The contents of all files."""
    return {FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=2) + "\n" for name in DASHBOARDS}


def main() -> int:
    """Returns 1 if a file is not what it should be."""
    if "--write" in sys.argv:
        for path, text in files().items():
            path.write_text(text)
        return 0
    outdated = [path.name for path, text in files().items() if not path.exists() or path.read_text() != text]
    if outdated:
        print(f"infra/grafana/dashboards: {', '.join(outdated)}: not up to date")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
