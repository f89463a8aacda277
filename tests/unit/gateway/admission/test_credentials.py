"""Every form in which a key can come, and what is said to who brings none."""

from __future__ import annotations

import pytest

from gateway.admission.credentials import KeyOptions, Keys, Unauthorized, chosen, credential, offered

KEY = "k3y-of_A.b~1"
SESSION = "x-deepgram-session-id,0b7c7e5e-3e0a-4f3e-9a43-1f3f8f6f5c11"


@pytest.mark.parametrize(
    "authorization",
    [f"Token {KEY}", f"token {KEY}", f"TOKEN  {KEY}", f"Bearer {KEY}", f"bearer {KEY}", f"  Token {KEY} "],
)
def test_a_header_of_either_scheme_in_any_case(authorization: str) -> None:
    assert credential([authorization], []) == KEY


@pytest.mark.parametrize(
    "subprotocols",
    [
        [f"token, {KEY}"],
        [f"token,{KEY}"],
        [f"bearer, {KEY}"],
        [f"Bearer , {KEY}"],
        [f"token,{KEY},{SESSION}"],
        [f"bearer,{KEY},{SESSION.replace(',', ', ')}"],
        [f"chat.v1, other,token,{KEY},{SESSION}"],
        ["chat.v1", f"token,{KEY}"],
        ["token", KEY],
    ],
)
def test_subprotocols_with_and_without_spaces_and_with_others_around(subprotocols: list[str]) -> None:
    assert credential([], subprotocols) == KEY


def test_a_header_counts_before_a_subprotocol() -> None:
    assert credential([f"Token {KEY}"], ["token, other"]) == KEY


@pytest.mark.parametrize(
    ("authorization", "subprotocols", "why"),
    [
        ([], [], "no key; send `Authorization: Token KEY`"),
        ([], ["chat.v1"], "no key; send"),
        ([], [SESSION], "no key; send"),
        ([KEY], [], "the Authorization header cannot be read; send"),
        (["Token"], [], "the Authorization header cannot be read"),
        (["Token  "], [], "the Authorization header cannot be read"),
        ([f"Basic {KEY}"], [], "the Authorization header cannot be read"),
        ([f"Token {KEY}", "Token other"], [], "the Authorization header cannot be read"),
        ([f"Basic {KEY}"], [f"token, {KEY}"], "the Authorization header cannot be read"),
        ([], ["token"], "the subprotocol `token` has no key after it; send"),
        ([], [f"{KEY}, bearer"], "the subprotocol `bearer` has no key after it; send"),
        ([], [f"token, {KEY}/="], "Sec-WebSocket-Protocol has a character that no subprotocol can have"),
    ],
)
def test_what_is_missing_or_unreadable_is_told_in_one_line_without_the_key(
    authorization: list[str], subprotocols: list[str], why: str
) -> None:
    with pytest.raises(Unauthorized) as caught:
        credential(authorization, subprotocols)
    assert str(caught.value).startswith(why)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_of_the_keys_is_good_and_no_other() -> None:
    keys = Keys(dict.fromkeys(["first", KEY, "last"], KeyOptions()))
    for good in ("first", KEY, "last"):
        keys.admit(good)
    for bad in ("firs", "first ", "FIRST", KEY[:-1], KEY + "x", "first,last", "\udcff"):
        if bad.strip() != "first":
            with pytest.raises(Unauthorized, match=r"^the key is not one of this server's$"):
                keys.admit(bad)


def test_every_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return given == known

    monkeypatch.setattr("gateway.admission.credentials.hmac.compare_digest", compare)
    Keys(dict.fromkeys(["one", "two", "three"], KeyOptions())).admit("one")
    assert len(compared) == 3
    assert {len(known) for known in compared} == {32}


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (f"token,{KEY}", "token"),
        (f"bearer, {KEY}", "bearer"),
        (f"chat.v1, Bearer, {KEY}", "Bearer"),
        ("chat.v1", None),
        ("", None),
    ],
)
def test_the_scheme_is_chosen_as_it_was_offered_and_never_anything_else(header: str, answer: str | None) -> None:
    assert chosen(offered([header])) == answer
