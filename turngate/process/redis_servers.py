"""The form of ``TURNGATE_REDIS_URLS``: several Redis servers, each with a name that stays when its address changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import RedisDsn, TypeAdapter, ValidationError
from pydantic_core import MultiHostUrl

from turngate.process.redis_url import RedisUrl

#: The name of the server if there is one only.
ONLY = "redis"
_NAME = re.compile(r"[a-z0-9-]{1,32}")
_URL: TypeAdapter[Any] = TypeAdapter(RedisUrl)

Url: TypeAlias = RedisDsn | MultiHostUrl


def read_servers(given: str) -> Mapping[str, Url]:
    """The servers of ``name=url`` entries, which are separated by whitespace: URLs of sentinels contain commas.

    Raises ValueError, whose text shows nothing of a URL, since that may contain a password.
    """
    servers: dict[str, Url] = {}
    for number, entry in enumerate(given.split(), 1):
        name, equals, url = entry.partition("=")
        if not equals or _NAME.fullmatch(name) is None:
            raise ValueError(f"entry {number} is not NAME=URL, with a name of 1 to 32 of a-z, 0-9 and -")
        if name in servers:
            raise ValueError(f"there are two servers of the name {name}")
        servers[name] = _read(name, url)
    if not servers:
        raise ValueError("no server is named")
    _check_different(servers)
    return servers


def _read(name: str, url: str) -> Url:
    try:
        read: Url = _URL.validate_python(url)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}: {problem}") from None
    return read


def _check_different(servers: Mapping[str, Url]) -> None:
    """Raises ValueError if two names lead to the same server, whatever they log in with."""
    names: dict[str, str] = {}
    for name, url in servers.items():
        address = str(url).partition("://")[2].partition("?")[0].rpartition("@")[2]
        if address in names:
            raise ValueError(f"{names[address]} and {name} have the same URL")
        names[address] = name
