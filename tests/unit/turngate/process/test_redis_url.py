"""URLs of a server, and of sentinels."""

from __future__ import annotations

import pytest
from pydantic_core import MultiHostUrl

from turngate.process.redis_url import master_of, sentinel_options, server_url
from turngate.process.settings import BrokerSettings, SettingsError, load


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("redis://:pw@host:1234/5?protocol=2", "redis://:pw@host:1234/5?protocol=2"),
        ("redis+sentinel://one,two:2/talks", "redis://one/0"),
        ("redis+sentinel://user:p%40w@one:1,two:2/talks/3", "redis://user:p%40w@one/3"),
        (
            "rediss+sentinel://[::1]:1/talks?ssl_ca_certs=/ca.pem&sentinel_password=x",
            "rediss://[::1]/0?ssl_ca_certs=%2Fca.pem",
        ),
    ],
)
def test_what_clients_connect_with(given: str, server: str) -> None:
    assert server_url(load(BrokerSettings, redis_url=given).redis_url) == server


def test_the_parts_of_a_url_of_sentinels() -> None:
    url = load(
        BrokerSettings, redis_url="redis+sentinel://:pw@one,two:2/talks/1?sentinel_username=u&sentinel_password=s"
    ).redis_url
    assert isinstance(url, MultiHostUrl)
    assert master_of(url) == "talks"
    assert sentinel_options(url) == {"username": "u", "password": "s"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("redis+sentinel://one:26379", "the name under which the sentinels know the master is missing"),
        ("redis+sentinel://", "empty host"),
        ("http://one", "URL scheme should be 'redis' or 'rediss'"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(given: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(BrokerSettings, redis_url=given.replace("//one", "//:secret@one"))
    assert str(refused.value).startswith("TURNGATE_REDIS_URL: ")
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)
