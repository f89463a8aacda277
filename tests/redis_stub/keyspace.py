"""The keys of a server, and its commands on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha1
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError, ResponseError

from tests.redis_stub import scripts
from tests.redis_stub.stream_commands import StreamCommands
from tests.redis_stub.streams import Stream
from tests.redis_stub.values import encoded, score

Kind = TypeVar("Kind")

_WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def _lacking(what: str) -> NotImplementedError:
    """What no software under test uses, a server has and the stub has not. It is no reply of Redis, which the software
    could survive, so that a test which begins to use it fails, and the stub gets it."""
    return NotImplementedError(f"the stub of Redis has no {what}")


class SortedSet(dict[bytes, float]):
    """Scores by member."""


class Hash(dict[bytes, bytes]):
    """Values by field."""


class Keyspace(StreamCommands):
    """Call `execute` with a command and its arguments. Replies are those of RESP2, errors are raised."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        """``now_us`` is the server's clock, in microseconds."""
        #: Commands that are refused now, by themselves and in scripts, and the error that says so.
        self.refused: frozenset[str] = frozenset()
        self.refusal: Callable[[], RedisError] = partial(ResponseError, "refused")
        #: Channels that somebody listens to, and what was published on them.
        self.listened: set[bytes] = set()
        self.published: list[tuple[bytes, bytes]] = []
        self._now_us = now_us
        self._values: dict[bytes, Any] = {}
        #: When a key goes, in ms.
        self._expiry: dict[bytes, int] = {}
        self._scripts: dict[bytes, scripts.Script] = {}
        self._commands: dict[str, Callable[..., Any]] = {}

    @property
    def now_ms(self) -> int:
        return self._now_us() // 1000

    def clear(self) -> None:
        """Lose all data; the scripts too."""
        self.on_flushall()
        self._scripts.clear()

    def execute(self, name: str, *arguments: Any) -> Any:
        """The reply to a command. Raises `ResponseError`, as redis-py would."""
        command = self._commands.get(name)
        if command is None:
            self._commands[name] = command = self._find(name)
        if name in self.refused:
            raise self.refusal()
        return command(
            *[
                part if type(part) is bytes else part.encode() if type(part) is str else encoded(part)
                for part in arguments
            ]
        )

    def _find(self, name: str) -> Callable[..., Any]:
        command: Callable[..., Any] | None = getattr(self, "on_" + name.lower().replace(" ", "_"), None)
        if command is None:
            raise _lacking(name)
        return command

    def value(self, key: bytes, kind: type[Kind]) -> Kind | None:
        """What is at the key; None if nothing is."""
        if self._expiry and (until := self._expiry.get(key)) is not None and self.now_ms >= until:
            self.remove(key)
        value = self._values.get(key)
        if value is not None and type(value) is not kind:
            raise ResponseError(_WRONG_TYPE)
        return value

    def made(self, key: bytes, kind: type[Kind]) -> Kind:
        """The same; an empty one is made if nothing is there."""
        value = self.value(key, kind)
        if value is None:
            self._values[key] = value = kind()
        return value

    def remove(self, key: bytes) -> bool:
        self._expiry.pop(key, None)
        return self._values.pop(key, None) is not None

    # --- keys

    def on_ping(self) -> Any:
        return b"PONG"

    def on_pubsub(self, question: bytes, *channels: bytes) -> Any:
        if question != b"NUMSUB":
            raise _lacking(f"PUBSUB {question!r}")
        return [part for channel in channels for part in (channel, int(channel in self.listened))]

    def on_publish(self, channel: bytes, message: bytes) -> Any:
        if channel not in self.listened:
            return 0
        self.published.append((channel, message))
        return 1

    def on_flushall(self) -> Any:
        self._values.clear()
        self._expiry.clear()
        return b"OK"

    def on_time(self) -> Any:
        return [b"%d" % part for part in divmod(self._now_us(), 1_000_000)]

    def on_exists(self, *keys: bytes) -> Any:
        return sum(self._present(key) for key in keys)

    def on_del(self, *keys: bytes) -> Any:
        return sum(self._present(key) and self.remove(key) for key in keys)

    on_unlink = on_del

    def on_pexpire(self, key: bytes, milliseconds: bytes) -> Any:
        if not self._present(key):
            return 0
        self._expiry[key] = self.now_ms + int(milliseconds)
        return 1

    def on_pttl(self, key: bytes) -> Any:
        if not self._present(key):
            return -2
        return self._expiry[key] - self.now_ms if key in self._expiry else -1

    def on_get(self, key: bytes) -> Any:
        return self.value(key, bytes)

    def on_set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        self.remove(key)
        self._values[key] = value
        if options:
            if options[0] != b"PX":
                raise _lacking(f"SET with {options[0]!r}")
            self._expiry[key] = self.now_ms + int(options[1])
        return b"OK"

    def _present(self, key: bytes) -> bool:
        if self._expiry and (until := self._expiry.get(key)) is not None and self.now_ms >= until:
            self.remove(key)
        return key in self._values

    # --- hashes

    def on_hset(self, key: bytes, *pairs: bytes) -> Any:
        stored = self.made(key, Hash)
        before = len(stored)
        stored.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(stored) - before

    def on_hget(self, key: bytes, field: bytes) -> Any:
        return (self.value(key, Hash) or Hash()).get(field)

    def on_hgetall(self, key: bytes) -> Any:
        stored = self.value(key, Hash) or Hash()
        return [part for pair in stored.items() for part in pair]

    def on_hkeys(self, key: bytes) -> Any:
        return list(self.value(key, Hash) or Hash())

    def on_hdel(self, key: bytes, *fields: bytes) -> Any:
        return self._dropped(key, Hash, fields)

    # --- sorted sets

    def on_zadd(self, key: bytes, *pairs: bytes) -> Any:
        members = self.made(key, SortedSet)
        before = len(members)
        members.update({member: float(value) for value, member in zip(pairs[::2], pairs[1::2], strict=True)})
        return len(members) - before

    def on_zrem(self, key: bytes, *members: bytes) -> Any:
        return self._dropped(key, SortedSet, members)

    def on_zcard(self, key: bytes) -> Any:
        return len(self.value(key, SortedSet) or SortedSet())

    def on_zscore(self, key: bytes, member: bytes) -> Any:
        found = (self.value(key, SortedSet) or SortedSet()).get(member)
        return None if found is None else score(found)

    def on_zrangebyscore(self, key: bytes, least: bytes, most: bytes, *options: bytes) -> Any:
        found = self._between(key, least, most)
        if not options:
            return found
        if options[0] != b"LIMIT":
            raise _lacking(f"ZRANGEBYSCORE with {options[0]!r}")
        start, number = int(options[1]), int(options[2])
        return found[start : start + number]

    def on_zremrangebyscore(self, key: bytes, least: bytes, most: bytes) -> Any:
        return self._dropped(key, SortedSet, self._between(key, least, most))

    def on_zscan(self, key: bytes, _cursor: bytes, *_options: bytes) -> Any:
        members = self.value(key, SortedSet) or SortedSet()
        return [b"0", [part for member, value in members.items() for part in (member, score(value))]]

    def _between(self, key: bytes, least: bytes, most: bytes) -> list[bytes]:
        members = self.value(key, SortedSet) or SortedSet()
        low, high = float(least), float(most)
        return [
            member
            for value, member in sorted((value, member) for member, value in members.items())
            if low <= value <= high
        ]

    def _dropped(self, key: bytes, kind: type[Any], names: Sequence[bytes]) -> int:
        stored = self.value(key, kind)
        if stored is None:
            return 0
        dropped = sum(stored.pop(name, None) is not None for name in names)
        if not stored:
            self.remove(key)
        return dropped

    # --- streams (the commands are in `StreamCommands`)

    def stream(self, key: bytes) -> Stream | None:
        return self.value(key, Stream)

    def made_stream(self, key: bytes) -> Stream:
        return self.made(key, Stream)

    # --- scripts

    def on_script_load(self, source: bytes) -> Any:
        sha = sha1(source, usedforsecurity=False).hexdigest().encode()
        self._scripts[sha] = scripts.compiled(source)
        return sha

    def on_script_flush(self, *_: bytes) -> Any:
        self._scripts.clear()
        return b"OK"

    def on_evalsha(self, sha: bytes, number: bytes, *given: bytes) -> Any:
        script = self._scripts.get(sha)
        if script is None:
            raise NoScriptError("No matching script.")
        keys = int(number)
        return script.run(self.execute, given[:keys], given[keys:])
