"""With which key a request comes: in every form, as a key and as a token."""

from __future__ import annotations

import pytest

from gateway.admission.authentication import Authentication, Forbidden
from gateway.admission.credentials import KeyOptions, Keys, Unauthorized
from gateway.admission.tokens import Tokens
from gateway.sockets.interface import HttpRequest

SECRET = "a-secret-of-thirty-two-characters-or-more"


def request(path: str = "/v1/agent/converse", **headers: str) -> HttpRequest:
    values = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
    return HttpRequest(path, "s", lambda name: values.get(name.lower(), []))


def both() -> tuple[Authentication, Keys]:
    keys = Keys({"first": KeyOptions(latency_reports=False), "second": KeyOptions()})
    return Authentication(keys, Tokens([SECRET]), lambda: 1_800_000_000.0), keys


def token(authentication: Authentication, key: str = "first") -> str:
    return authentication.grant(authentication.maker(request(Authorization=f"Token {key}")), 30)[0]


def test_a_token_is_taken_in_every_form_for_the_key_that_made_it() -> None:
    authentication, keys = both()
    given = token(authentication)
    for one in (
        request(Authorization=f"Token {given}"),
        request(Authorization=f"Bearer {given}"),
        request(Sec_WebSocket_Protocol=f"bearer, {given}"),
        request(Sec_WebSocket_Protocol=f"token, {given}"),
        request(f"/v1/agent/converse?token={given}"),
        request(f"/openai?a=b&token={given}"),
    ):
        name = authentication.upgrade(one, key_in_query=False)
        assert name == keys.admit("first")
        assert not authentication.options(name).latency_reports


def test_a_key_is_in_the_query_only_where_the_path_allows_it() -> None:
    authentication, keys = both()
    one = request("/openai?token=second")
    assert authentication.upgrade(one, key_in_query=True) == keys.admit("second")
    with pytest.raises(Unauthorized, match="no key"):
        authentication.upgrade(one, key_in_query=False)


def test_a_token_ends_with_its_key() -> None:
    authentication, keys = both()
    one = request(Authorization=f"Bearer {token(authentication)}")
    keys.replace({"second": KeyOptions()})
    with pytest.raises(Unauthorized, match="no longer"):
        authentication.upgrade(one, key_in_query=False)


def test_a_key_that_looks_like_a_token_is_still_a_key() -> None:
    other = Tokens([SECRET]).grant("x", 30, 0)[0]
    keys = Keys({other: KeyOptions()})
    authentication = Authentication(keys, Tokens([SECRET]))
    assert authentication.upgrade(request(Authorization=f"Token {other}"), key_in_query=False) == keys.admit(other)


def test_only_a_key_in_a_header_makes_tokens() -> None:
    authentication, _ = both()
    with pytest.raises(Forbidden, match="only an API key"):
        authentication.maker(request(Authorization=f"Bearer {token(authentication)}"))
    for one in (request(), request("/v1/auth/grant?token=first"), request(Sec_WebSocket_Protocol="token, first")):
        with pytest.raises(Unauthorized, match="no key"):
            authentication.maker(one)
    with pytest.raises(Unauthorized, match="not one of this server's"):
        authentication.maker(request(Authorization="Token third"))


def test_without_a_secret_there_are_no_tokens_and_keys_work() -> None:
    keys = Keys({"first": KeyOptions()})
    authentication = Authentication(keys)
    with pytest.raises(Forbidden, match="TURNGATE_TOKEN_SECRET"):
        authentication.maker(request(Authorization="Token first"))
    assert authentication.upgrade(request(Authorization="Token first"), key_in_query=False)
    foreign = Tokens([SECRET]).grant(keys.admit("first"), 30, 0)[0]
    with pytest.raises(Unauthorized, match="the key is not one of this server's"):
        authentication.upgrade(request(Authorization=f"Bearer {foreign}"), key_in_query=False)


def test_without_keys_anybody_is_let_in_and_gets_tokens() -> None:
    authentication = Authentication(None, Tokens([SECRET]))
    assert authentication.upgrade(request(), key_in_query=False) == ""
    assert authentication.grant(authentication.maker(request()), 30)[1] == 30
    assert authentication.options("").latency_reports
