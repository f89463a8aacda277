"""Which session a client returns to."""

from __future__ import annotations

import pytest

from gateway.admission.resume_keys import ResumeKeys, Returning, returning
from gateway.sockets.interface import HttpRequest


def request(path: str = "/v1/agent/converse", **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(path, "name", lambda name: [named[name]] if name in named else [])


def test_a_session_id_is_a_header_or_a_subprotocol() -> None:
    header = returning(request(x_deepgram_session_id="abc"), "key")
    offered = request()
    offered = HttpRequest(
        offered.path,
        "name",
        lambda name: ["token, KEY,x-deepgram-session-id,abc"] if name == "Sec-WebSocket-Protocol" else [],
    )
    assert header.session_id is not None
    assert returning(offered, "key").session_id == header.session_id
    assert returning(request(x_deepgram_session_id="abc"), "another key").session_id != header.session_id
    assert header.resumable
    assert not header.asks


@pytest.mark.parametrize(
    "given",
    [
        request(),
        request(x_deepgram_session_id=" "),
        request(x_deepgram_session_id="x" * 129),
        HttpRequest(
            "/", "name", lambda name: ["token, KEY, x-deepgram-session-id"] * (name != "x-deepgram-session-id")
        ),
    ],
)
def test_without_one_there_is_nothing_to_return_to(given: HttpRequest) -> None:
    assert returning(given, "key") == Returning(path=given.path)
    assert not returning(given, "key").resumable


@pytest.mark.parametrize(("query", "received"), [("received=12", 12), ("received=-1", None), ("received=", None)])
def test_a_handle_comes_in_the_query(query: str, received: int | None) -> None:
    client = returning(request(f"/openai?resume=abc&{query}"), "key")
    assert (client.asks, client.wants_handle, client.received) == (True, True, received)
    assert client.handle is not None
    assert returning(request("/openai?resume="), "key") == Returning(wants_handle=True, asks=True, path="/openai")
    assert returning(request("/openai?resumable=1"), "key") == Returning(wants_handle=True, path="/openai")
    assert not returning(request("/openai?resumable=0"), "key").resumable


def test_a_handle_is_used_once_and_replaced() -> None:
    keys = ResumeKeys()
    handle = keys.enter("s1", "key", Returning(wants_handle=True, path="/"))
    assert handle is not None
    client = returning(request(f"/?resume={handle}"), "key")
    assert keys.find(client) == "s1"
    assert keys.find(returning(request(f"/?resume={handle}"), "another key")) is None
    assert keys.find(returning(request(f"/openai?resume={handle}"), "key")) is None, "another protocol"
    assert client.handle is not None
    assert keys.of("s1") == (client.handle.hex(),)
    assert keys.of("unknown") == ()
    again = keys.enter("s1", "key", client)
    assert again not in (None, handle)
    assert keys.find(client) is None


def test_a_session_id_leads_to_the_newest_session_until_it_is_over() -> None:
    keys = ResumeKeys()
    client = returning(request(x_deepgram_session_id="abc"), "key")
    assert keys.find(client) is None
    assert keys.enter("s1", "key", client) is None
    keys.enter("s2", "key", client)
    keys.forget("s1")
    assert keys.find(client) == "s2"
    keys.forget("s2")
    keys.forget("s2")
    assert keys.find(client) is None
