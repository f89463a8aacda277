"""The commands on streams."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from tests.redis_stub.streams import Group, Id, Stream


class StreamCommands:
    """A part of `Keyspace`, which has what these three stand for: they are here for the types, and never called."""

    @property
    def now_ms(self) -> int:
        raise NotImplementedError

    def stream(self, key: bytes) -> Stream | None:
        raise NotImplementedError

    def made_stream(self, key: bytes) -> Stream:
        raise NotImplementedError

    def on_xadd(self, key: bytes, *arguments: bytes) -> Any:
        rest = list(arguments)
        create, most = True, None
        while rest[0] != b"*":
            option = rest.pop(0)
            if option == b"NOMKSTREAM":
                create = False
            elif option == b"MAXLEN":
                while rest[0] in (b"~", b"="):
                    rest.pop(0)
                most = int(rest.pop(0))
            else:
                raise NotImplementedError(f"XADD with {option!r}")
        stream = self.made_stream(key) if create else self.stream(key)
        if stream is None:
            return None
        entry = stream.add(tuple(rest[1:]), self.now_ms)
        if most is not None:
            stream.keep(most)
        return _written(entry)

    def on_xlen(self, key: bytes) -> Any:
        stream = self.stream(key)
        return len(stream.entries) if stream is not None else 0

    def on_memory_usage(self, key: bytes, *_: bytes) -> Any:
        """The bytes of a stream's fields, and as much again for the rest of each entry as Redis roughly needs."""
        stream = self.stream(key)
        return None if stream is None else sum(64 + sum(map(len, fields)) for fields in stream.entries.values())

    def on_xrange(self, key: bytes, least: bytes, most: bytes) -> Any:
        if (least, most) != (b"-", b"+"):
            raise NotImplementedError("XRANGE of a part")
        stream = self.stream(key)
        return [] if stream is None else [[_written(entry), list(fields)] for entry, fields in stream.entries.items()]

    def on_xdel(self, key: bytes, *ids: bytes) -> Any:
        stream = self.stream(key)
        return 0 if stream is None else sum(stream.entries.pop(_read(one), None) is not None for one in ids)

    def on_xtrim(self, key: bytes, kind: bytes, *rest: bytes) -> Any:
        stream, limit = self.stream(key), rest[-1]
        if stream is None:
            return 0
        return stream.keep(int(limit)) if kind == b"MAXLEN" else stream.keep_from(_read(limit))

    # --- groups

    def on_xgroup_create(self, key: bytes, name: bytes, start: bytes, *options: bytes) -> Any:
        stream = self.made_stream(key) if b"MKSTREAM" in options else self.stream(key)
        if stream is None:
            raise ResponseError("The XGROUP subcommand requires the key to exist.")
        if name in stream.groups:
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        stream.groups[name] = Group(stream.last if start == b"$" else _read(start))
        return b"OK"

    def on_xgroup_createconsumer(self, key: bytes, name: bytes, consumer: bytes) -> Any:
        if self.stream(key) is None:
            raise ResponseError("The XGROUP subcommand requires the key to exist.")
        group = self._group(key, name)
        new = consumer not in group.seen
        group.seen.setdefault(consumer, self.now_ms)
        return int(new)

    def on_xgroup(self, subcommand: bytes, *arguments: bytes) -> Any:
        """As scripts write it."""
        if subcommand != b"DELCONSUMER":
            raise NotImplementedError(f"XGROUP {subcommand!r}")
        key, name, consumer = arguments
        group = self._group(key, name)
        left = [entry for entry, pending in group.pending.items() if pending.consumer == consumer]
        for entry in left:
            del group.pending[entry]
        group.seen.pop(consumer, None)
        return len(left)

    def on_xinfo(self, subcommand: bytes, *arguments: bytes) -> Any:
        """As scripts write it."""
        if subcommand != b"CONSUMERS":
            raise NotImplementedError(f"XINFO {subcommand!r}")
        group = self._group(*arguments)
        holders = [pending.consumer for pending in group.pending.values()]
        return [
            [b"name", consumer, b"pending", holders.count(consumer), b"idle", self.now_ms - seen]
            for consumer, seen in sorted(group.seen.items())
        ]

    def on_xreadgroup(self, *arguments: bytes) -> Any:
        """``GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key >``; it never blocks."""
        _, name, consumer, *options = arguments
        *options, _, key, _new = options
        most = int(options[options.index(b"COUNT") + 1]) if b"COUNT" in options else 1_000_000
        group = self._group(key, name)
        stream = self.stream(key)
        assert stream is not None
        found = stream.unread(group, consumer, most, self.now_ms)
        if b"NOACK" in options:
            for entry in found:
                del group.pending[entry]
        if not found:
            return None
        return [[key, [[_written(entry), list(stream.entries[entry])] for entry in found]]]

    def on_xack(self, key: bytes, name: bytes, *ids: bytes) -> Any:
        stream = self.stream(key)
        group = stream.groups.get(name) if stream is not None else None
        return 0 if group is None else sum(group.pending.pop(_read(one), None) is not None for one in ids)

    def on_xpending(self, key: bytes, name: bytes, *arguments: bytes) -> Any:
        """``[IDLE ms] - + count``"""
        idle = 0
        if arguments[0] == b"IDLE":
            idle, arguments = int(arguments[1]), arguments[2:]
        now, group = self.now_ms, self._group(key, name)
        return [
            [_written(entry), pending.consumer, now - pending.delivered_at, pending.deliveries]
            for entry, pending in sorted(group.pending.items())
            if now - pending.delivered_at >= idle
        ][: int(arguments[2])]

    def on_xclaim(self, key: bytes, name: bytes, consumer: bytes, idle: bytes, *ids: bytes) -> Any:
        stream, group, now = self.stream(key), self._group(key, name), self.now_ms
        assert stream is not None
        claimed = []
        group.seen[consumer] = now
        for entry in map(_read, ids):
            pending = group.pending.get(entry)
            if pending is None or now - pending.delivered_at < int(idle):
                continue
            if entry not in stream.entries:
                del group.pending[entry]
                continue
            pending.consumer, pending.delivered_at = consumer, now
            pending.deliveries += 1
            claimed.append([_written(entry), list(stream.entries[entry])])
        return claimed

    def _group(self, key: bytes, name: bytes) -> Group:
        stream = self.stream(key)
        if stream is None or name not in stream.groups:
            raise ResponseError(f"NOGROUP No such key '{key.decode()}' or consumer group '{name.decode()}'")
        return stream.groups[name]


def _written(entry: Id) -> bytes:
    return b"%d-%d" % entry


def _read(text: bytes) -> Id:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number or 0)
