"""Lua scripts, run by Lua 5.1 as in Redis, with `redis.call`, `redis.pcall` and `cjson`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from lupa.lua51 import LuaRuntime, lua_type
from redis.exceptions import ResponseError

#: Runs a command: its name and arguments.
Execute = Callable[..., Any]


_NESTED = (dict, list)
_PLAIN = (int, bytes)
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
        functions = {"call": self._call, "pcall": self._protected_call}
        self.runtime.globals().redis = self.table(functions)
        remembering = self.runtime.execute(_COPY.replace("LIMIT", str(_DECODED_MAX)), self._null)
        cjson = {"decode": remembering(self._decode), "encode": self._encode, "null": self._null}
        self.runtime.globals().cjson = self.table(cjson)

    def compile(self, source: bytes) -> Any:
        return self.runtime.eval(f"function(KEYS, ARGV)\n{source.decode()}\nend")

    def _call(self, name: str, *arguments: Any) -> Any:
        reply = self.execute(name, *arguments)
        return reply if type(reply) in _PLAIN else self._reply(reply)

    def _protected_call(self, name: str, *arguments: Any) -> Any:
        try:
            return self._call(name, *arguments)
        except ResponseError as error:
            return self.table({"err": str(error)})

    def _reply(self, reply: Any) -> Any:
        """A reply as scripts see it: `nil` is false there."""
        if reply is None:
            return False
        if type(reply) is not list:
            return reply
        if list in map(type, reply):
            reply = [self._reply(part) for part in reply]
        return self.table(reply)

    def _decode(self, text: str) -> Any:
        return self._lua(orjson.loads(text))

    def _lua(self, value: Any) -> Any:
        kind = type(value)
        if kind is dict:
            if None in value.values():
                value = {name: self._null if part is None else part for name, part in value.items()}
            if any(type(part) in _NESTED for part in value.values()):
                value = {name: self._lua(part) for name, part in value.items()}
            return self.table(value)
        if kind is list:
            return self.table([self._lua(part) for part in value])
        return self._null if value is None else value

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


class Script:
    """A compiled script."""

    def __init__(self, source: bytes) -> None:
        self._lua = _lua()
        self._function = self._lua.compile(source)

    def run(self, execute: Execute, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Its reply; errors of commands pass through. ``execute`` runs its commands."""
        lua = self._lua
        lua.execute = execute
        return _plain_reply(self._function(lua.table(keys), lua.table(arguments)))


@lru_cache(maxsize=64)
def compiled(source: bytes) -> Script:
    """This script, compiled once."""
    return Script(source)


def _plain_reply(value: Any) -> Any:
    """What a script returned, as a client is told: a list ends at its first `nil`, `false` is none."""
    kind = type(value)
    if kind is str:
        return value.encode()
    if kind is int or value is None:
        return value
    if kind is bool:
        return 1 if value else None
    return int(value) if kind is float else [_plain_reply(part) for part in value.values()]
