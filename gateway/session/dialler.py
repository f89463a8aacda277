"""Connects to the upstream, with retries, and describes why a connection failed or ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from gateway import log_events
from gateway.conversation.effects import SESSION_OVER, UpstreamProblem
from gateway.sockets.interface import ConnectionClosed, Engine, HandshakeRefused, Socket
from gateway.timers import NEVER
from turngate.process.urls import without_secrets
from turngate.protocol.openai.errors import LASTING, PASSING

#: Maximum size of a server event: 60 s of 24 kHz pcm16 in base64. Real events are far smaller.
_MAX_EVENT_BYTES = 4 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
#: Number of attempts if the upstream refuses the upgrade for a passing reason.
_REFUSALS_MAX = 5
#: Maximum ``Retry-After`` in seconds that is waited for; the client is told of a longer one.
_NAMED_WAIT_MAX = 3.0
#: Statuses below 500 that may pass: request timeout, too early, too many requests.
_PASSING_STATUSES = frozenset({408, 425, 429})
_NO_RETRY = 1000
_MAY_RETRY = 1011
#: Close codes with which OpenAI refuses a key or a model, after the upgrade succeeded.
_REFUSALS = frozenset({3000, 4000, 4004})
_SESSION_OVER = 1001
#: Part of the close reason that OpenAI sends when the maximum duration of a session is reached.
_MAXIMUM_DURATION = "maximum duration"


class UpstreamUnavailable(Exception):  # noqa: N818 - an outcome that the client is told
    """No connection to the upstream is possible; ``problem`` says what to tell the client."""

    def __init__(self, problem: UpstreamProblem) -> None:
        super().__init__(problem.description)
        self.problem = problem


class Dialler:
    """Opens upstream connections. A gateway has one."""

    def __init__(
        self, engine: Engine, url: str, headers: Mapping[str, str], *, ping_timeout: float, receive_buffer: int
    ) -> None:
        """``ping_timeout`` in seconds; ``receive_buffer`` in bytes, see `ListenOptions`."""
        self._engine = engine
        self._url = url
        self._headers = headers
        self._ping_timeout = ping_timeout
        self._receive_buffer = receive_buffer

    async def try_once(self) -> Socket:
        """Connect, with one attempt. Raises `HandshakeRefused`, OSError and TimeoutError."""
        return await self._engine.connect(
            self._url,
            self._headers,
            message_max=_MAX_EVENT_BYTES,
            ping_timeout=self._ping_timeout,
            receive_buffer=self._receive_buffer,
        )

    async def dial(self, until: float) -> Socket:
        """Connect, and retry while that can help, until this moment of the event loop's clock, at which the caller
        gives up. Raises `UpstreamUnavailable`."""
        pause, refusals = _FIRST_PAUSE, 0
        now = asyncio.get_running_loop().time
        while True:
            wait = random.uniform(pause / 2, pause)
            try:
                return await self.try_once()
            except HandshakeRefused as refused:
                log_events.upstream_not_reached(reason=f"HTTP {refused.status}")
                refusals += 1
                named = _named_wait(refused)
                wait = max(wait, named)
                problem = _refused(refused)
                lasting = problem.close_code == _NO_RETRY or refusals == _REFUSALS_MAX or named > _NAMED_WAIT_MAX
                if lasting or now() + wait >= until:
                    raise UpstreamUnavailable(problem) from None
            except (OSError, TimeoutError) as error:
                log_events.upstream_not_reached(reason=str(error) or type(error).__name__)
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _refused(refused: HandshakeRefused) -> UpstreamProblem:
    """The upstream answered the upgrade with another status than 101."""
    status = refused.status
    code = code_in(refused.body)
    passes = (status >= 500 or status in _PASSING_STATUSES) and code not in LASTING
    description = f"The upstream refused the connection with HTTP {status}."
    if 300 <= status < 400:
        description = f"The upstream answered with HTTP {status}: it is at another address."
    elif refused.retry_after is not None:
        description = (
            f"The upstream refused the connection with HTTP {status} (Retry-After: {refused.retry_after[:64]})."
        )
    return UpstreamProblem(code or "upstream_refused", description, _MAY_RETRY if passes else _NO_RETRY)


def code_in(body: bytes) -> str | None:
    """The code of the error in OpenAI's answer; None if there is none."""
    try:
        error = orjson.loads(body)["error"]
        code = error["code"] or error["type"]
    except (ValueError, KeyError, TypeError):
        return None
    return code[:64] if isinstance(code, str) else None


def _named_wait(refused: HandshakeRefused) -> float:
    """``Retry-After`` in seconds; 0 if there is none. One that names a date counts as long."""
    named = refused.retry_after
    if named is None:
        return 0.0
    return float(named) if named.isdecimal() else NEVER


def unreachable(url: str) -> UpstreamProblem:
    """No connection could be opened in time."""
    address = without_secrets(url)
    return UpstreamProblem("upstream_unreachable", f"The upstream at {address} cannot be reached.", _MAY_RETRY)


def stalled() -> UpstreamProblem:
    """The upstream stopped reading, and the connection was aborted."""
    return UpstreamProblem("upstream_stalled", "The upstream takes nothing any more.", _MAY_RETRY)


def closed(ended: ConnectionClosed, refusal: tuple[str, str] | None) -> UpstreamProblem:
    """Why the upstream closed. ``refusal`` is the code and message of an error that it sent before
    ``session.created``."""
    code, reason = ended.code, ended.reason
    if refusal is not None:
        close_code = _NO_RETRY if code in _REFUSALS or refusal[0] in LASTING else _MAY_RETRY
        return UpstreamProblem(refusal[0], f"The upstream refused the session: {refusal[1]}", close_code)
    if code in _REFUSALS:
        return UpstreamProblem(
            reason.rpartition(".")[2] or "upstream_refused", f"The upstream refused: {reason}", _NO_RETRY
        )
    if code == _SESSION_OVER and _MAXIMUM_DURATION in reason.casefold():
        return SESSION_OVER
    return UpstreamProblem(
        "upstream_closed",
        f"The upstream closed the connection ({code or 'lost'}{f': {reason}' if reason else ''}).",
        _MAY_RETRY,
        early=True,
    )


def lasts(problem: UpstreamProblem) -> bool:
    """Whether the upstream refuses sessions until the operator acts."""
    return problem.close_code == _NO_RETRY and problem is not SESSION_OVER


def may_redial(ended: ConnectionClosed, refusal: tuple[str, str] | None) -> bool:
    """Whether to dial again after a connection that closed before ``session.created``."""
    return (refusal is None or refusal[0] in PASSING) and ended.code not in _REFUSALS


def with_model(url: str, model: str) -> str:
    """The URL of a session on this model, unless it names one already."""
    parts = urlsplit(url)
    query = (
        parts.query if "model=" in parts.query else "&".join(filter(None, [parts.query, urlencode({"model": model})]))
    )
    return urlunsplit(parts._replace(query=query))
