"""Reads JSON from a service's HTTP port."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from turngate.cli.errors import MISUSED, CommandError, refusal
from turngate.process.urls import without_secrets

TIMEOUT_S = 5.0

#: Ignores proxies from the environment: these services are usually on this machine or in its network.
_opener = build_opener(ProxyHandler({}))


async def fetch_json(url: str, *, option: str, key: str | None = None) -> Any:
    """GET ``url`` and parse the response. ``key`` is sent as a bearer token.

    Raises `CommandError`, which names ``option``, the command-line option that contains the address.
    """
    shown = without_secrets(url)
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"{option} {shown}: not an HTTP address (http://host:port)", MISUSED)
    try:
        return json.loads(await asyncio.to_thread(_get, url, key))
    except HTTPError as refused:
        with refused:
            raise CommandError(f"{shown} answered {refusal(refused.code, refused.read())} ({option})") from None
    except (URLError, OSError) as failure:
        reason = getattr(failure, "reason", failure)
        words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise CommandError(f"cannot read {shown}: {words.lower()}; is it running there? ({option})") from None
    except ValueError:
        raise CommandError(f"{shown} did not answer with JSON ({option})") from None


def _get(url: str, key: str | None) -> bytes:
    request = Request(url, headers={} if key is None else {"Authorization": f"Bearer {key}"})
    with _opener.open(request, timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read()
        return body
