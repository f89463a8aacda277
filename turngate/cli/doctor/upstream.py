"""Opens a session at the upstream as the gateway does, and closes it again."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from turngate.cli.doctor.findings import Finding, Level
from turngate.cli.doctor.refusals import Refusal, of_refusal, of_silence
from turngate.process.urls import without_secrets

if TYPE_CHECKING:
    from gateway.config import GatewaySettings


async def look_at_upstream(settings: GatewaySettings, patience: float) -> Finding:
    """Whether a session can be opened within ``patience`` seconds, with one attempt."""
    check = f"upstream at {without_secrets(settings.upstream)}"
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            refusal = await _refusal(settings)
    except OSError as error:
        return of_silence(check, error, simulated=settings.simulated)
    if refusal is not None:
        return of_refusal(check, refusal)
    answered = f"answers in {(time.monotonic() - began) * 1_000:.0f} ms"
    if settings.simulated:
        return Finding(Level.OK, check, f"{answered}; no OPENAI_API_KEY is set: the simulator replies")
    return Finding(Level.OK, check, f"{answered}, with the model {settings.upstream_model}")


async def _refusal(settings: GatewaySettings) -> Refusal | None:
    """How a session was refused; None if it was opened. Raises OSError."""
    from gateway.app import dialler
    from gateway.session.dialler import code_in
    from gateway.sockets.engines import ENGINES
    from gateway.sockets.interface import ConnectionClosed, HandshakeRefused

    try:
        socket = await dialler(settings, ENGINES[settings.socket_engine]).try_once()
    except HandshakeRefused as refused:
        return Refusal(f"refused the connection with HTTP {refused.status}", refused.status, code_in(refused.body))
    try:
        return _refusal_in(await socket.recv())
    except ConnectionClosed as ended:
        why = f": {ended.reason}" if ended.reason else ""
        return Refusal(f"closed the connection ({ended.code or 'lost'}{why})", ended.code)
    finally:
        await socket.close()


def _refusal_in(event: str | bytes) -> Refusal | None:
    """The refusal that the first event of a session is, if it is one."""
    try:
        first: Any = json.loads(event)
        kind = first["type"]
    except (ValueError, KeyError, TypeError):
        return Refusal("answers with something else than events of the Realtime API")
    if kind != "error":
        return None
    error = first.get("error")
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    # OpenAI refuses a missing key without a code, and closes with 3000 after this event.
    unnamed = 3000 if code is None and "authentication" in str(error.get("message")) else None
    return Refusal(f"refused the session: {error.get('message')}", unnamed, code if isinstance(code, str) else None)
