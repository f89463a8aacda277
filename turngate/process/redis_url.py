"""The two forms of ``TURNGATE_REDIS_URL``: of a server, and of the sentinels that know which server is the master."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from urllib.parse import urlencode

from pydantic import AfterValidator, Discriminator, RedisDsn, Tag, UrlConstraints
from pydantic_core import MultiHostUrl

_OF_SENTINELS = "sentinel_"
_SENTINELS = ("redis+sentinel", "rediss+sentinel")


def _complete(url: MultiHostUrl) -> MultiHostUrl:
    if not master_of(url):
        raise ValueError(
            "the name under which the sentinels know the master is missing: redis+sentinel://host:26379/NAME"
        )
    return url


def _form(given: Any) -> str:
    return "sentinels" if str(given).partition(":")[0] in _SENTINELS else "server"


SentinelUrl: TypeAlias = Annotated[
    MultiHostUrl, UrlConstraints(allowed_schemes=list(_SENTINELS), host_required=True), AfterValidator(_complete)
]
RedisUrl: TypeAlias = Annotated[
    Annotated[RedisDsn, Tag("server")] | Annotated[SentinelUrl, Tag("sentinels")], Discriminator(_form)
]


def master_of(url: MultiHostUrl) -> str:
    """The name of the master in a URL of sentinels, ``redis+sentinel://host:26379,host:26379/NAME/0``."""
    return (url.path or "").strip("/").partition("/")[0]


def sentinel_options(url: MultiHostUrl) -> dict[str, str]:
    """How to log in to the sentinels: ``?sentinel_username=…&sentinel_password=…``."""
    return {name.removeprefix(_OF_SENTINELS): value for name, value in url.query_params() if _is_of_sentinels(name)}


def server_url(url: RedisDsn | MultiHostUrl) -> str:
    """The URL as Redis clients understand it: scheme, user, password, database and options. In one of sentinels the
    host is the first of them."""
    if isinstance(url, RedisDsn):
        return str(url)
    hosts, _, path = str(url).partition("://")[2].partition("?")[0].partition("/")
    user, at, _ = hosts.rpartition("@")
    first = url.hosts()[0]
    query = urlencode([(name, value) for name, value in url.query_params() if not _is_of_sentinels(name)])
    tls = "rediss" if url.scheme.startswith("rediss") else "redis"
    return f"{tls}://{user}{at}{first['host']}/{path.partition('/')[2] or '0'}{'?' if query else ''}{query}"


def _is_of_sentinels(option: str) -> bool:
    return option.startswith(_OF_SENTINELS)
