"""Reads a service's ``/metrics``."""

from __future__ import annotations

import asyncio
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

#: Timeout of one request, in seconds.
_PATIENCE = 10.0
_OPENER = build_opener(ProxyHandler({}))


async def metric(base: str, name: str, **labels: str) -> float:
    """The sum of the samples with this name and these labels at ``base``, such as ``http://127.0.0.1:8080``.

    Raises OSError if the service does not answer, and LookupError if it has no metric with this name.
    """
    text = await asyncio.to_thread(_page, f"{base}/metrics")
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    if not found:
        raise LookupError(f"{base} has no metric {name}")
    return sum(found)


def _page(url: str) -> str:
    with _OPENER.open(url, timeout=_PATIENCE) as answer:
        text: str = answer.read().decode()
    return text
