"""A real server that can be made to refuse, and a bus on it."""

from __future__ import annotations

from typing import Any

import redis as sync_redis
from prometheus_client import REGISTRY
from pydantic import RedisDsn

from turngate.bus.bus import Bus
from turngate.process.settings import ConsumerSettings


class Server:
    """The server as its administrator sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = sync_redis.Redis.from_url(url)

    def fill(self) -> None:
        """From now on it is out of memory."""
        self.client.config_set("maxmemory", 1)

    def free(self) -> None:
        self.client.config_set("maxmemory", 0)

    def become_replica(self) -> None:
        """Of a master that does not exist, as after a failover."""
        self.client.replicaof("127.0.0.1", 1)

    def become_master(self) -> None:
        self.client.replicaof("NO", "ONE")

    def allow(self, *rules: str) -> str:
        """A user with all permissions except these; returns its URL."""
        self.client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
        return self.url.replace("redis://", "redis://limited:pw@")

    def restore(self) -> None:
        self.become_master()
        self.client.config_set("maxmemory", self.maxmemory)
        self.client.execute_command("ACL", "DELUSER", "limited")
        self.client.close()

    def __enter__(self) -> Server:
        config: Any = self.client.config_get("maxmemory")
        self.maxmemory = config["maxmemory"]
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()


def bus_at(url: str) -> Bus:
    return Bus.connect(ConsumerSettings(redis_url=RedisDsn(url), reclaim_after_ms=100))


def errors(kind: str) -> float:
    return REGISTRY.get_sample_value("turngate_redis_errors_total", {"kind": kind}) or 0
