"""The health check of the image finds whichever service runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from turngate.cli.config import collect
from turngate.local.health import PORTS, check_any
from turngate.local.ports import free_port


class Handler(BaseHTTPRequestHandler):
    """Answers with its server's status."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""


@pytest.fixture(params=PORTS)
def variable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(variable: str) -> Iterator[dict[str, str]]:
    """One service listens, at the port of this variable."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {name: str(server.server_port if name == variable else free_port()) for name in PORTS}
        server.shutdown()


def test_one_service_that_is_alive_is_enough(environment: dict[str, str]) -> None:
    assert check_any(environment) is None


def test_what_answers_is_told_if_none_is_alive(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "status", 503)
    reason = check_any(environment)
    assert reason is not None
    assert "answered 503" in reason
    assert reason.count("does not answer") == len(PORTS) - 1


def test_the_ports_are_those_of_the_settings() -> None:
    settings = {setting.variable: setting.default for setting in collect()}
    assert {variable: str(settings[variable]) for variable in PORTS} == {
        name: str(port) for name, port in PORTS.items()
    }
