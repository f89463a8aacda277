"""What the public port answers over plain HTTP: whether the gateway lives, tokens, and the models.

The pages for web pages (`_SHARED`) are readable by scripts of the allowed origins, and of no others (CORS).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway import log_events
from gateway.admission.admission import Admission, Refusal
from gateway.admission.tokens import TTL_DEFAULT, TTL_MAX, TTL_MIN
from gateway.dialect import DIALECTS
from gateway.sockets.interface import HttpRequest, HttpResponse

HEALTH = "/health"
#: Deepgram's paths: https://developers.deepgram.com/guides/fundamentals/token-based-authentication and
#: https://developers.deepgram.com/reference/voice-agent/think-models.
GRANT = "/v1/auth/grant"
THINK_MODELS = "/v1/agent/settings/think/models"
_SHARED = (GRANT, THINK_MODELS)
#: The methods of each path.
_METHODS = {
    HEALTH: ("GET", "HEAD"),
    GRANT: ("POST",),
    THINK_MODELS: ("GET", "HEAD"),
    **dict.fromkeys(DIALECTS, ("GET", "HEAD")),
}
_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}
#: How long browsers may remember what a page allows, in seconds.
_REMEMBERED = "600"
#: A list of header names.
_NAMES = re.compile(r"[A-Za-z0-9-]+(?: *, *[A-Za-z0-9-]+)*")
_CODES = {
    HTTPStatus.UNAUTHORIZED: "INVALID_AUTH",
    HTTPStatus.FORBIDDEN: "FORBIDDEN",
    HTTPStatus.TOO_MANY_REQUESTS: "TOO_MANY_REQUESTS",
}


class Pages:
    """Answers the requests on the public port."""

    def __init__(
        self,
        admission: Admission,
        models: bytes,
        alive: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``models`` is the page of models, as JSON."""
        self._admission = admission
        self._models = models
        self._alive = alive
        self._clock = clock

    def respond(self, request: HttpRequest) -> HttpResponse | None:
        """The response to a request; None for an upgrade that is admitted."""
        try:
            path = urlsplit(request.path).path
        except ValueError:
            return _json(HTTPStatus.BAD_REQUEST, {"error": "the request's path cannot be read"})
        methods = _METHODS.get(path)
        if methods is None:
            return _json(HTTPStatus.NOT_FOUND, {"error": f"no such path; agents converse on {' or '.join(DIALECTS)}"})
        shared = {}
        if path in _SHARED:
            if (foreign := self._admission.foreign(request)) is not None:
                return _told(foreign)
            shared = _shared(request, methods)
        if request.method == "OPTIONS":
            headers = {**shared, "Allow": _list(methods)}
            return HttpResponse(HTTPStatus.NO_CONTENT, "application/json", b"", headers)
        if request.method not in methods:
            headers = {**shared, "Allow": _list(methods)}
            error = {"error": f"{path} takes {' or '.join(methods)}"}
            return _json(HTTPStatus.METHOD_NOT_ALLOWED, error, headers)
        if path == HEALTH:
            alive = self._alive()
            status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
            return HttpResponse(status, "text/plain", b"ok\n" if alive else b"unavailable\n")
        if path == THINK_MODELS:
            return HttpResponse(HTTPStatus.OK, "application/json", self._models, shared)
        if path == GRANT:
            answer = self._grant(request)
            return HttpResponse(answer.status, answer.content_type, answer.body, {**answer.headers, **shared})
        return self._converse(request, key_in_query=DIALECTS[path].key_in_query)

    def _converse(self, request: HttpRequest, *, key_in_query: bool) -> HttpResponse | None:
        refusal = self._admission.request(request, self._clock(), key_in_query=key_in_query)
        if refusal is None and request.values("Upgrade"):
            return None
        if refusal is None:
            self._admission.end(request.name)
            return _json(HTTPStatus.UPGRADE_REQUIRED, {"error": "agents converse over WebSocket"}, _UPGRADE)
        log_events.client_refused(reason=refusal.reason)
        return _json(refusal.status, {"error": refusal.text}, refusal.headers)

    def _grant(self, request: HttpRequest) -> HttpResponse:
        """Deepgram's token grant: ``{"ttl_seconds": 30}`` is answered with ``{"access_token", "expires_in"}``."""
        ttl = _ttl(request.body)
        if ttl is None:
            text = f"ttl_seconds: a number from {TTL_MIN} to {TTL_MAX}, in an object of JSON."
            return _failed(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", text)
        granted = self._admission.grant(request, ttl, self._clock())
        if isinstance(granted, Refusal):
            log_events.token_refused(reason=granted.reason)
            return _told(granted)
        token, seconds = granted
        return _json(HTTPStatus.OK, {"access_token": token, "expires_in": seconds}, {"Cache-Control": "no-store"})


def _ttl(body: bytes) -> float | None:
    """The life that is asked for; None if the body cannot be read."""
    if not body.strip():
        return TTL_DEFAULT
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict):
        return None
    ttl = asked.get("ttl_seconds")
    if ttl is None:
        return TTL_DEFAULT
    good = isinstance(ttl, int | float) and not isinstance(ttl, bool) and TTL_MIN <= ttl <= TTL_MAX
    return ttl if good else None


def _shared(request: HttpRequest, methods: tuple[str, ...]) -> dict[str, str]:
    """The headers with which a browser lets the page of an allowed origin read the answer."""
    headers = {"Vary": "Origin"}
    for origin in request.values("Origin"):
        headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and request.values("Access-Control-Request-Method"):
        headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        headers["Access-Control-Max-Age"] = _REMEMBERED
        asked = ", ".join(request.values("Access-Control-Request-Headers"))
        if _NAMES.fullmatch(asked):
            headers["Access-Control-Allow-Headers"] = asked
    return headers


def _told(refusal: Refusal) -> HttpResponse:
    return _failed(refusal.status, _CODES[refusal.status], refusal.text, refusal.headers)


def _failed(status: HTTPStatus, code: str, text: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """An error in the format of Deepgram's REST API."""
    return _json(status, {"err_code": code, "err_msg": text}, headers)


def _list(methods: tuple[str, ...]) -> str:
    return ", ".join((*methods, "OPTIONS"))


def _json(status: HTTPStatus, body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, "application/json", orjson.dumps(body), headers or {})
