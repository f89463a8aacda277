"""Starts a stack or a simulator in a process of its own, for tests with and without asyncio."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from turngate.process.parent_death import dies_with_parent

#: Seconds until a started process has stopped.
_STOP_SECONDS = 30.0
_HTTP_SECONDS = 10.0
# Ignores proxies from the environment.
_http = build_opener(ProxyHandler({}))


class NotStarted(Exception):  # noqa: N818 - the text says what was wrong
    """The stack or the simulator could not be started. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator of the OpenAI Realtime API."""

    #: Of the WebSocket; clients add ``?model=``.
    url: str
    #: Of its pages.
    http_url: str

    def arm(self, fault: str, *, count: int = 1, times: int | None = None) -> None:
        """Give this fault to the next ``count`` connections; ``times`` is how many responses, requests or results each
        is about, 0 for all. The simulator's README lists the faults. Raises OSError for one that does not exist."""
        asked = {"next": fault, "count": count, **({} if times is None else {"times": times})}
        self._page(f"/faults?{urlencode(asked)}")

    def disarm(self) -> None:
        """Forget the faults that are armed."""
        self._page("/faults?clear")

    def sessions(self) -> list[dict[str, Any]]:
        """Every session with each event that it received and sent, the state of the response at that moment, and its
        violations of the protocol; the oldest first."""
        return list(self._page("/record")["sessions"])

    def _page(self, path: str) -> Any:
        with _http.open(self.http_url + path, timeout=_HTTP_SECONDS) as answer:
            return json.load(answer)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: gateways, translators, session-state, and Redis and a simulator if they were not given."""

    #: Of the gateways, without a path, such as ``ws://127.0.0.1:8080``.
    gateway_urls: tuple[str, ...]
    #: Of session-state's pages.
    session_state_url: str
    redis_url: str
    #: None if the upstream is another one.
    simulator: Simulator | None

    @property
    def gateway_url(self) -> str:
        """Of the first gateway, without a path: clients connect to ``/v1/agent/converse`` or ``/openai``."""
        return self.gateway_urls[0]

    @property
    def http_url(self) -> str:
        """The same for plain HTTP."""
        return self.gateway_url.replace("ws:", "http:", 1)


@contextlib.contextmanager
def start_stack(
    *,
    translators: int = 1,
    gateways: int = 1,
    session_states: int = 1,
    redis_url: str | None = None,
    upstream_url: str | None = None,
    pace: float = 0.0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """A stack with these numbers of processes, until the end of the context. Use it in the main thread.

    redis_url: the server to use, with a database of its own; None: start one, which needs ``turngate[local]`` or a
        ``redis-server``.
    upstream_url: an upstream; None: a simulator.
    pace: the factor on the simulator's delays; 1 is realistic, 0 as fast as possible.
    settings: other variables of the services, such as ``{"TURNGATE_API_KEYS": "k3y"}``.

    Raises `NotStarted`.
    """
    upstream = {} if upstream_url is None else {"TURNGATE_UPSTREAM_URL": upstream_url}
    options = {
        "translators": translators,
        "gateways": gateways,
        "session_states": session_states,
        "redis_url": redis_url,
        "simulator": upstream_url is None,
        "pace": pace,
        "env": {**upstream, **(settings or {})},
    }
    with _serving("stack", options) as told:
        simulator = told.pop("simulator")
        yield Stack(
            gateway_urls=tuple(told["gateway_urls"]),
            session_state_url=told["session_state_url"],
            redis_url=told["redis_url"],
            simulator=Simulator(**simulator) if simulator else None,
        )


@contextlib.contextmanager
def start_simulator(
    *,
    pace: float = 0.0,
    fault: str | None = None,
    fault_times: int = 1,
    session_seconds: float = 3_600.0,
    **settings: Any,
) -> Iterator[Simulator]:
    """A simulator, until the end of the context. Use it in the main thread.

    pace: the factor on its delays; 1 is realistic, 0 as fast as possible.
    fault: what is wrong with every connection, ``fault_times`` times or always (0); the simulator's README lists them.
    session_seconds: the maximum duration of a session.
    settings: other settings of the simulator, without their prefix, such as ``models="gpt-realtime-2.1"``.

    Raises `NotStarted`.
    """
    options = {
        "pace": pace,
        "fault": fault,
        "fault_times": fault_times,
        "session_seconds": session_seconds,
        **settings,
    }
    with _serving("simulator", {name: value for name, value in options.items() if value is not None}) as told:
        yield Simulator(**told)


@contextlib.contextmanager
def _serving(kind: str, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "turngate.testing.serve", kind, json.dumps(options)]
    process = subprocess.Popen(dies_with_parent(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        told = json.loads(line) if line else {"error": f"the {kind} ended while it was starting"}
        if "error" in told:
            raise NotStarted(told["error"])
        yield told
    finally:
        # The process stops when its input ends.
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
