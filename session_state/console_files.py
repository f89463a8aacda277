"""The console's files, as ``turngate.console`` has them, and what its pages need to know of this installation.

Anybody may read them: they contain nothing of a session. The pages load nothing from elsewhere, and connect only to
this process and to the gateways.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from session_state.admin_key import AdminKey
from session_state.console_faults import Faults, faults_route
from turngate.process.http import json_response

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    tag: str


def console_routes(gateway_url: str, key: AdminKey, faults: Faults) -> list[Route]:
    """``/console/`` and what its pages load. ``gateway_url`` is where browsers reach the gateways."""
    found = _read()
    headers = _headers(gateway_url)

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", _INDEX)
        if name not in found:
            return json_response({"error": f"the console has no {name}"}, 404)
        one = found[name]
        told = {**headers, "ETag": one.tag}
        if one.tag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=told)
        return Response(one.body, headers=told, media_type=one.media_type)

    async def installation(request: Request) -> Response:
        refused = key.refusal(request)
        parts = [] if refused else await faults.parts()
        told = json_response({"gateway_url": gateway_url, "refused": refused, "faults": parts})
        told.headers.update(headers)
        return told

    async def home(_: Request) -> Response:
        return RedirectResponse("/console/")

    return [
        Route("/", home),
        Route("/console", home),
        Route("/console/", file),
        Route("/console/installation", installation),
        faults_route(faults, key),
        Route("/console/{name}", file),
    ]


@cache
def _read() -> dict[str, _File]:
    """Every file that a browser may load, by name."""
    read: dict[str, _File] = {}
    for entry in files("turngate.console").iterdir():
        media_type = _TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if media_type is not None:
            body = entry.read_bytes()
            read[entry.name] = _File(body, media_type, f'"{sha256(body).hexdigest()[:32]}"')
    return read


def _headers(gateway_url: str) -> dict[str, str]:
    gateway = urlsplit(gateway_url)
    # Tokens come from the gateway over HTTP.
    http = {"ws": "http", "wss": "https"}[gateway.scheme]
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        f"connect-src 'self' {gateway.scheme}://{gateway.netloc} {http}://{gateway.netloc}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes markup or a program, whatever the pages' code does.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        # Asked for again each time, and not sent again if they are the same.
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
