"""Warnings of models that are going to be switched off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from structlog.testing import capture_logs

from turngate.process.model_ends import announced_ends, ends_in, warn_of_ends

BODY = (
    b'{"object":"list","data":[{"id":"gpt-realtime-2.1","shutdown_date":"2028-05-01"},{"id":"gpt-x","shutdown_date":null},'
    b'{"id":7,"shutdown_date":"2028-05-01"},{"id":"odd","shutdown_date":"soon"},"text"]}'
)


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    """Path and key of each request."""
    return []


@pytest.fixture
def upstream(asked: list[tuple[str, str | None]]) -> Iterator[str]:
    class Models(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Models) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.server_port}/v1/realtime?model=x"
        server.shutdown()
        thread.join()


def test_the_table_warns_of_what_was_announced_and_of_nothing_else() -> None:
    with capture_logs() as logs:
        warn_of_ends(["gpt-realtime", "gpt-realtime-2.1"])
    (warning,) = logs
    assert (warning["log_level"], warning["model"], warning["on"]) == ("warning", "gpt-realtime", "2027-01-20")
    assert warning["replacement"] == "gpt-realtime-2.1"


def test_what_the_upstream_says_counts() -> None:
    with capture_logs() as logs:
        warn_of_ends(["gpt-realtime-2.1"], {"gpt-realtime-2.1": date(2020, 1, 1)})
    assert [log["event"] for log in logs] == ["model_has_ended"]


async def test_the_upstream_is_asked_where_it_lists_its_models(
    upstream: str, asked: list[tuple[str, str | None]]
) -> None:
    assert await announced_ends(upstream, "key") == {"gpt-realtime-2.1": date(2028, 5, 1)}
    assert asked == [("/v1/models", "Bearer key")]


async def test_an_upstream_that_does_not_say_is_no_trouble() -> None:
    assert await announced_ends("ws://127.0.0.1:1/v1/realtime", "key") == {}


@pytest.mark.parametrize("body", [b"[]", b'{"data":{}}', b"null"])
def test_an_odd_list_has_no_ends(body: bytes) -> None:
    assert ends_in(body) == {}
