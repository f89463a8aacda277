"""Tokens in the place of a key: what is accepted, for how long, and why not."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from gateway.admission.credentials import Unauthorized
from gateway.admission.tokens import SKEW, Tokens, is_token

SECRET = "a-secret-of-thirty-two-characters-or-more"
OTHER = "another-secret-of-thirty-two-characters"
NOW = 1_800_000_000.5


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(secret: str = SECRET, **claims: Any) -> str:
    """A token with these claims in the place of a good one's, signed as ours are."""
    kid = jwt.get_unverified_header(Tokens([secret]).grant("k", 30, NOW)[0])["kid"]
    good = {"iss": "turngate", "sub": "k", "iat": int(NOW), "exp": int(NOW) + 30, "scope": ["agent"]}
    return jwt.encode({**good, **claims}, secret, "HS256", {"kid": kid})


def why(tokens: Tokens, token: str, now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        tokens.key(token, now)
    assert token not in str(refused.value)
    return str(refused.value)


def test_a_token_names_its_key_for_as_long_as_it_says() -> None:
    tokens = Tokens([SECRET])
    token, seconds = tokens.grant("front", 59.5, NOW)
    assert seconds == 60
    assert jwt.decode(token, options={"verify_signature": False})["exp"] == int(NOW) + 60
    for now in (NOW - SKEW, NOW, NOW + 59, int(NOW) + 60 + SKEW - 0.1):
        assert tokens.key(token, now) == "front"
    assert why(tokens, token, int(NOW) + 60 + SKEW).startswith("the token has expired")
    assert why(tokens, token, NOW - SKEW - 1).startswith("the token is not valid yet")


def test_a_secret_is_replaced_without_a_gap() -> None:
    old, both, new = Tokens([SECRET]), Tokens([OTHER, SECRET]), Tokens([OTHER])
    token, _ = old.grant("k", 30, NOW)
    newer, _ = both.grant("k", 30, NOW)
    assert both.key(token, NOW) == both.key(newer, NOW) == new.key(newer, NOW) == "k"
    assert "a secret that this server does not have" in why(new, token)
    assert "a secret that this server does not have" in why(old, newer)


def test_an_altered_token_is_refused() -> None:
    tokens = Tokens([SECRET])
    header, _, signature = tokens.grant("k", 30, NOW)[0].split(".")
    claims = {"iss": "turngate", "sub": "other", "iat": int(NOW), "exp": int(NOW) + 30, "scope": ["agent"]}
    assert "signature is wrong" in why(tokens, f"{header}.{part(claims)}.{signature}")


def test_no_other_algorithm_is_accepted() -> None:
    tokens = Tokens([SECRET])
    header, claims, signature = tokens.grant("k", 30, NOW)[0].split(".")
    kid = jwt.get_unverified_header(f"{header}.{claims}.{signature}")["kid"]
    for algorithm in ("none", "None", "NONE", "HS512", "RS256", 5, None):
        altered = part({"alg": algorithm, "kid": kid, "typ": "JWT"})
        assert "not signed with HS256" in why(tokens, f"{altered}.{claims}.{signature}")
        assert "not signed with HS256" in why(tokens, f"{altered}.{claims}.")
    critical = part({"alg": "HS256", "kid": kid, "crit": ["b64"], "b64": False})
    assert "not signed with HS256" in why(tokens, f"{critical}.{claims}.{signature}")
    whole = jwt.encode({"sub": "k"}, SECRET + SECRET, "HS512", {"kid": kid})
    assert "not signed with HS256" in why(tokens, whole)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"sub": None},
        {"sub": 5},
        {"exp": "soon"},
        {"exp": None},
        {"iat": 1.5},
        {"scope": ["asr:write"]},
        {"scope": None},
    ],
)
def test_other_claims_are_not_ours(claims: dict[str, Any]) -> None:
    assert why(Tokens([SECRET]), signed(**claims)) == "the token is not one of this server's"


def test_a_token_for_longer_than_tokens_are_made_for_is_refused() -> None:
    assert "for too long" in why(Tokens([SECRET]), signed(exp=int(NOW) + 3_601))


@pytest.mark.parametrize("kid", [None, "", "00000000", 7])
def test_an_unknown_secret_is_told(kid: object) -> None:
    header = part({"alg": "HS256", "kid": kid} if kid is not None else {"alg": "HS256"})
    _, claims, signature = signed().split(".")
    why(Tokens([SECRET]), f"{header}.{claims}.{signature}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k3y",
        "a.b.c",
        "..",
        "eyJ.e30.x",
        "\udcff.a.b",
        f"{part([])}.e30.x",
        "e30." * 3,
        f"{part('x' * 4000)}.e30.x",
        base64.urlsafe_b64encode(b"[" * 1_500).rstrip(b"=").decode() + ".e30.x",
    ],
)
def test_what_is_no_token_is_refused_whatever_it_is(text: str) -> None:
    assert not is_token(text)
    with pytest.raises(Unauthorized):
        Tokens([SECRET]).key(text, NOW)


def test_a_token_is_told_from_a_key() -> None:
    assert is_token(signed())
    assert not is_token("front-door.of.k3y")
