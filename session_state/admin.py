"""The admin HTTP: what an operator asks first, about the sessions of all Redis servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from session_state.admin_key import AdminKey
from session_state.event_streams import EventStreams
from session_state.filters import wanted
from session_state.fleet import Fleet, UnreachableError
from session_state.watchers import Watchers
from turngate.process.http import json_response


def admin_routes(fleet: Fleet, watchers: Watchers, key: AdminKey) -> list[Route]:
    """``GET /sessions`` and ``GET /sessions/{id}``; their events and journals; and the streams."""

    async def sessions(request: Request) -> Response:
        try:
            asked = wanted(request.query_params)
        except ValueError as error:
            return json_response({"error": str(error)}, 400)
        return json_response(await fleet.sessions(asked))

    async def session(request: Request) -> Response:
        return _of_session(request, await fleet.session(request.path_params["session"]))

    async def journal(request: Request) -> Response:
        shown = _of_session(request, await fleet.journal(request.path_params["session"]))
        shown.headers["Cache-Control"] = "no-store"
        return shown

    async def streams(_: Request) -> Response:
        return json_response(await fleet.streams())

    events = EventStreams(fleet, watchers)
    endpoints = {
        "/sessions": sessions,
        "/sessions/{session}": session,
        "/sessions/{session}/events": events.one_session,
        "/sessions/{session}/journal": journal,
        "/events": events.all_sessions,
        "/streams": streams,
    }
    return [Route(path, key.guard(_reachable(endpoint))) for path, endpoint in endpoints.items()]


def _of_session(request: Request, found: dict[str, Any] | None) -> Response:
    if found is None:
        return json_response({"error": f"no live session {request.path_params['session']}"}, 404)
    return json_response(found)


def _reachable(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same endpoint, which answers with 503 and the names of servers that would have to answer."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except UnreachableError as error:
            return json_response({"error": str(error), "unreachable": error.servers}, 503)

    return answered
