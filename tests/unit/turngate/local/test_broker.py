"""The embedded broker: its options, its data, and its end."""

from __future__ import annotations

import redis

from turngate.local.broker import start_broker


def test_it_answers_and_does_not_evict() -> None:
    with start_broker() as broker, redis.Redis.from_url(broker.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}


def test_after_a_restart_it_is_empty_at_the_same_url() -> None:
    with start_broker() as broker:
        with redis.Redis.from_url(broker.url) as client:
            client.set("kept", "no")
        broker.restart()
        with redis.Redis.from_url(broker.url) as client:
            assert client.get("kept") is None
