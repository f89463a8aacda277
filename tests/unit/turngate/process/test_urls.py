"""URLs are shown without what may be a secret, and lead to this machine or not."""

from __future__ import annotations

import pytest

from turngate.process.urls import is_local, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        (
            "redis+sentinel://u:pw@one:1,[::1]:2,three/name?sentinel_password=s",
            "redis+sentinel://one:1,[::1]:2,three/name?sentinel_password=…",
        ),
        ("redis+sentinel://one:1,/name", "(an invalid URL)"),
        ("redis+sentinel://one:1,two:x/name", "(an invalid URL)"),
        ("redis://:planted@redis:6379/0", "redis://redis:6379/0"),
        ("rediss://user:planted@redis/0?password=planted&x=", "rediss://redis/0?password=…&x=…"),
        ("wss://user@api.example/v1/realtime?key=planted#planted", "wss://api.example/v1/realtime?key=…"),
        ("redis://user:planted@[::1]:6379", "redis://[::1]:6379"),
        ("redis://user:planted@[::1", "(an invalid URL)"),
        ("redis://host:planted", "(an invalid URL)"),
        ("planted", "(an invalid URL)"),
        ("redis://:planted@", "(an invalid URL)"),
    ],
)
def test_neither_user_nor_password_nor_values_of_the_query_are_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("ws://127.0.0.1:8080/v1", True),
        ("ws://127.8.9.1", True),
        ("//localhost:8080", True),
        ("http://app.localhost", True),
        ("//[::1]:8080", True),
        ("//[::ffff:127.0.0.1]:8080", True),
        ("//[::ffff:10.0.0.1]", False),
        ("//localhost.example", False),
        ("//127.0.0.1.example", False),
        ("https://example.com/localhost", False),
        ("//localhost@example.com", False),
        ("//[::1", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_a_host_that_is_this_machine_is_local(url: str, local: bool) -> None:
    assert is_local(url) is local
