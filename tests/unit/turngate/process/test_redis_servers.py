"""Several Redis servers in the settings, and what is wrong with them, without a password."""

from __future__ import annotations

import pytest

from gateway.config import GatewaySettings
from turngate.process.redis_servers import ONLY
from turngate.process.settings import BrokerSettings, SettingsError, load

TWO = "one=redis://:secret@h-1:6379/0 two=redis+sentinel://:secret@h-2:26379,h-3:26379/talks/1?sentinel_password=secret"


def test_entries_are_separated_by_any_whitespace_and_keep_their_order() -> None:
    servers = load(BrokerSettings, redis_urls=TWO.replace(" ", "\n\t ")).servers
    assert list(servers) == ["one", "two"]
    assert str(servers["one"]) == "redis://:secret@h-1:6379/0"
    assert "h-2:26379,h-3:26379/talks/1" in str(servers["two"])


def test_a_single_server_has_a_name_too() -> None:
    assert {name: str(url) for name, url in load(BrokerSettings).servers.items()} == {ONLY: "redis://127.0.0.1:6379/0"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("redis://:secret@h", "entry 1 is not NAME=URL"),
        ("one=redis://:secret@h redis://:secret@h/0?a=b", "entry 2 is not NAME=URL"),
        ("One=redis://:secret@h", "entry 1 is not NAME=URL"),
        (f"{'a' * 33}=redis://:secret@h", "entry 1 is not NAME=URL"),
        ("=redis://:secret@h", "entry 1 is not NAME=URL"),
        ("a=redis://:secret@h a=redis://:secret@i", "two servers of the name a"),
        ("a=redis://:secret@h b=redis://h", "a and b have the same URL"),
        ("a=http://:secret@h", "a: URL scheme should be 'redis' or 'rediss'"),
        ("a=redis://:secret@h b=redis+sentinel://:secret@h:1", "b: the name under which the sentinels know the master"),
        (" \t", "no server is named"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(given: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(BrokerSettings, redis_urls=given)
    assert str(refused.value).startswith("TURNGATE_REDIS_URLS: ")
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


def test_one_server_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_REDIS_URLS", TWO)
    monkeypatch.setenv("TURNGATE_REDIS_URL", "")
    assert len(load(BrokerSettings).servers) == 2, "an empty variable counts as unset"
    monkeypatch.setenv("TURNGATE_REDIS_URL", "redis://:secret@h")
    with pytest.raises(SettingsError, match=r"^TURNGATE_REDIS_URLS and TURNGATE_REDIS_URL are both set") as refused:
        load(BrokerSettings)
    assert "secret" not in str(refused.value)


def test_some_servers_may_leave() -> None:
    settings = load(GatewaySettings, redis_urls=TWO, redis_leaving="two")
    assert settings.leaving == {"two"}
    assert load(GatewaySettings).leaving == set()


@pytest.mark.parametrize(
    ("leaving", "problem"),
    [
        ("three", "TURNGATE_REDIS_LEAVING: no server is called three"),
        ("two one", "TURNGATE_REDIS_LEAVING: no server would be left"),
    ],
)
def test_not_all_may_leave_and_not_an_unknown_one(leaving: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(GatewaySettings, redis_urls=TWO, redis_leaving=leaving)
    assert str(refused.value).startswith(problem)
    assert "secret" not in str(refused.value)
