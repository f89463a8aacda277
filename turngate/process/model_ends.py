"""Warns at start of models that the upstream is going to switch off: from the table of announced ends, and from what
the upstream itself says (``shutdown_date`` in ``GET /v1/models``).
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlsplit, urlunsplit

import orjson

from turngate.process import log_events
from turngate.protocol.openai.models import end_of

#: Seconds and bytes that the list of models may take.
_PATIENCE = 3.0
_MOST_BYTES = 4_194_304


def warn_of_ends(models: Iterable[str], announced: Mapping[str, date] | None = None) -> None:
    """Log a warning for each of these models whose end is known. ``announced`` is what the upstream said."""
    today = datetime.now(UTC).date()
    for model in models:
        end = end_of(model, (announced or {}).get(model))
        if end is not None:
            event = log_events.model_has_ended if end.on <= today else log_events.model_ends
            event(model=model, on=end.on.isoformat(), replacement=end.replacement or "not announced")


async def announced_ends(upstream: str, key: str) -> dict[str, date]:
    """The ends that the server at this Realtime URL announces, by model. Empty if it does not say in a few seconds."""
    try:
        return ends_in(await asyncio.to_thread(_listed, upstream, key))
    except (OSError, ValueError) as error:
        log_events.models_not_listed(reason=type(error).__name__)
        return {}


def ends_in(body: bytes) -> dict[str, date]:
    """The ``shutdown_date`` of each model in the answer to ``GET /v1/models``. Raises ValueError for what is no
    JSON."""
    data = orjson.loads(body)
    rows = data.get("data") if isinstance(data, dict) else None
    found: dict[str, date] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("shutdown_date"), str):
            try:
                found[row["id"]] = date.fromisoformat(row["shutdown_date"][:10])
            except ValueError:
                continue
    return found


def _listed(upstream: str, key: str) -> bytes:
    parts = urlsplit(upstream)
    scheme = "https" if parts.scheme == "wss" else "http"
    path = parts.path.rstrip("/").removesuffix("/realtime") + "/models"
    request = urllib.request.Request(
        urlunsplit((scheme, parts.netloc, path, "", "")), headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        body: bytes = answer.read(_MOST_BYTES)
    return body
