"""The simulator's HTTP pages, as JSON.

- ``/health``, ``/ready``: 200 while it runs.
- ``/sessions``: a summary of every session; ``/record``: every session with its event record; ``/record/<session>``:
  one session.
- ``/faults``: the armed faults; ``?next=<fault>&count=<n>`` arms the next connections, ``?clear`` disarms all. With
  ``times=<n>`` faults are about so many responses, requests or results from now on, 0 for all.
- ``/cut``: aborts the connections of all live sessions, as a network does that fails; ``/cut/<session>``: of one.

The WebSocket library provides requests without their body, so everything is a GET with a query.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from turngate.simulator.faults import MAX_ARMED, Fault, Faults
from turngate.simulator.sessions import Sessions

#: HTTP status and JSON body.
Page = tuple[int, dict[str, Any]]


def page(target: str, sessions: Sessions, faults: Faults) -> Page:
    """The response for this path and query."""
    url = urlsplit(target)
    match url.path.strip("/").split("/"):
        case ["health" | "ready"]:
            return 200, {"service": "simulator", "sessions": sum(entry.ended_at is None for entry in sessions)}
        case ["sessions"]:
            return 200, {"sessions": [entry.summary() for entry in sessions]}
        case ["record"]:
            return 200, {"sessions": [entry.whole() for entry in sessions]}
        case ["record", session_id]:
            entry = sessions.get(session_id)
            return (200, entry.whole()) if entry else (404, {"error": f"There is no session '{session_id}' on record."})
        case ["cut"]:
            return 200, {"cut": [entry.id for entry in sessions if entry.cut_off()]}
        case ["cut", session_id]:
            entry = sessions.get(session_id)
            if entry is None or not entry.cut_off():
                return 404, {"error": f"There is no live session '{session_id}'."}
            return 200, {"cut": [session_id]}
        case ["faults"]:
            return _faults(parse_qs(url.query, keep_blank_values=True), faults)
        case _:
            return 404, {"error": f"There is nothing at {url.path}; the WebSocket is at /v1/realtime."}


def _faults(query: dict[str, list[str]], faults: Faults) -> Page:
    if "clear" in query:
        faults.disarm()
    times = query.get("times", [str(faults.times)])[0]
    if not times.isdecimal():
        return 400, {"error": f"times: must be a number, not '{times}'."}
    faults.times = int(times)
    if "next" in query:
        name, count = query["next"][0], query.get("count", ["1"])[0]
        if name not in list(Fault):
            return 400, {"error": f"next: there is no fault '{name}'; there are {', '.join(Fault)}."}
        if not count.isdecimal() or not 1 <= int(count) <= MAX_ARMED:
            return 400, {"error": f"count: must be a number from 1 to {MAX_ARMED}, not '{count}'."}
        faults.arm(Fault(name), int(count))
    return 200, {"armed": faults.armed(), "known": list(Fault)}
