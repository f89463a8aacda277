"""Lua scripts, run by Lua 5.1 as in Redis, with `redis.call`, `redis.pcall` and `cjson`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import orjson
from lupa.lua51 import LuaRuntime, lua_type
from redis.exceptions import ResponseError

#: Runs a command: its name and arguments.
Execute = Callable[..., Any]

_NESTED = (dict, list)
#: Values of a reply that are passed one by one; a script's stack has room for no more.
_FLAT_MAX = 200
#: What scripts get: Python returns the parts of a list after a mark, which is much cheaper than a table.
_CALLS = """
local mark, call, pcall = ...
local function taken(first, ...)
  if first == mark then return { ... } end
  return first
end
local function run(script, number, ...)
  local keys, arguments = { ... }, {}
  for place = number + 1, select('#', ...) do
    arguments[place - number] = keys[place]
    keys[place] = nil
  end
  return script(keys, arguments)
end
return
  { call = function(...) return taken(call(...)) end, pcall = function(...) return taken(pcall(...)) end },
  run
"""
#: Decoded texts that are kept; a script gets a copy, which is much cheaper than another conversion.
_DECODED_MAX = 512
_COPY = """
local null = ...
local function copy(value)
  if type(value) ~= 'table' or value == null then return value end
  local made = {}
  for key, part in pairs(value) do made[key] = copy(part) end
  return made
end
local decoded, number = {}, 0
return function(decode)
  return function(text)
    local found = decoded[text]
    if found == nil then
      if number >= LIMIT then decoded, number = {}, 0 end
      found = decode(text)
      decoded[text], number = found, number + 1
    end
    return copy(found)
  end
end
"""


class _Lua:
    """The interpreter of all scripts. One script runs at a time; ``execute`` is the server's that it runs on."""

    def __init__(self) -> None:
        self.execute: Execute
        self.runtime = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
        # What Redis's cjson calls null is a value of its own, and true in a condition.
        self._null = self.runtime.eval("{}")
        self.table = self.runtime.table_from
        self._nested = partial(self.table, recursive=True)
        self._mark = self.runtime.eval("{}")
        calls: tuple[Any, Any] = self.runtime.execute(_CALLS, self._mark, self._call, self._protected_call)
        self.runtime.globals().redis, self.run = calls
        remembering = self.runtime.execute(_COPY.replace("LIMIT", str(_DECODED_MAX)), self._null)
        cjson = {"decode": remembering(self._decode), "encode": self._encode, "null": self._null}
        self.runtime.globals().cjson = self.table(cjson)

    def compile(self, source: bytes) -> Any:
        return self.runtime.eval(f"function(KEYS, ARGV)\n{source.decode()}\nend")

    def _call(self, name: str, *arguments: Any) -> Any:
        reply = self.execute(name, *arguments)
        if type(reply) is list:
            return self._reply(reply)
        # `nil` is false there.
        return False if reply is None else reply

    def _protected_call(self, name: str, *arguments: Any) -> Any:
        try:
            return self._call(name, *arguments)
        except ResponseError as error:
            return self.table({"err": str(error)})

    def _reply(self, reply: list[Any]) -> Any:
        if list in map(type, reply):
            reply = [self._reply_table(part) for part in reply]
        elif None in reply:
            reply = [False if part is None else part for part in reply]
        return (self._mark, *reply) if len(reply) < _FLAT_MAX else self.table(reply)

    def _reply_table(self, reply: Any) -> Any:
        if type(reply) is list:
            return self.table([self._reply_table(part) for part in reply])
        return False if reply is None else reply

    def _decode(self, text: str) -> Any:
        value = orjson.loads(text)
        if type(value) in _NESTED:
            self._put_null(value)
            return self._nested(value)
        return self._null if value is None else value

    def _put_null(self, value: Any) -> None:
        """Have the null of scripts in every place where there is none."""
        for place, part in value.items() if type(value) is dict else enumerate(value):
            if part is None:
                value[place] = self._null
            elif type(part) in _NESTED:
                self._put_null(part)

    def _encode(self, value: Any) -> bytes:
        return orjson.dumps(self._plain(value))

    def _plain(self, value: Any) -> Any:
        if lua_type(value) != "table":
            return value
        if value == self._null:
            return None
        pairs = dict(value.items())
        if pairs and all(isinstance(key, int) for key in pairs):
            return [self._plain(pairs[index]) for index in range(1, len(pairs) + 1)]
        return {str(key): self._plain(part) for key, part in pairs.items()}


@lru_cache
def _lua() -> _Lua:
    return _Lua()


def _nobody(*_: Any) -> Any:
    raise AssertionError("no script runs")


class Script:
    """A compiled script."""

    def __init__(self, source: bytes) -> None:
        self._lua = _lua()
        self._function = self._lua.compile(source)

    def run(self, execute: Execute, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Its reply; errors of commands pass through. ``execute`` runs its commands."""
        lua = self._lua
        lua.execute = execute
        try:
            return _plain_reply(lua.run(self._function, len(keys), *keys, *arguments))
        finally:
            # A server that nobody needs is not kept by its last script.
            lua.execute = _nobody


@lru_cache(maxsize=64)
def compiled(source: bytes) -> Script:
    """This script, compiled once."""
    return Script(source)


def _plain_reply(value: Any) -> Any:
    """What a script returned, as a client is told: a list ends at its first `nil`, `false` is none."""
    kind = type(value)
    if kind is str:
        return value.encode()
    if kind is int or kind is bytes or value is None:
        return value
    if kind is bool:
        return 1 if value else None
    return int(value) if kind is float else [_plain_reply(part) for part in value.values()]
