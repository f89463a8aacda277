"""URLs are shown without what may be a secret."""

from __future__ import annotations

import pytest

from turngate.process.urls import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
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
