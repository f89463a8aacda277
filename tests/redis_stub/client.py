"""redis-py's client on a `Keyspace`: its own commands and replies, without connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from tests.redis_stub.keyspace import Keyspace

#: A command: its name and arguments.
Command = tuple[Any, ...]
#: One round trip: commands go out, and the reply to each comes back, or the error that it ended with. Raises if the
#: server cannot be reached. The commands are executed at once and together if the second argument is true.
Exchange = Callable[[Sequence[Command], bool], Awaitable[list[Any]]]


def answers(keyspace: Keyspace, commands: Sequence[Command]) -> list[Any]:
    """Execute these commands: the reply to each, or the error that it ended with."""
    replies: list[Any] = []
    for command in commands:
        try:
            replies.append(keyspace.execute(*command))
        except RedisError as error:
            replies.append(error)
    return replies


def at_once(keyspace: Keyspace) -> Exchange:
    """Round trips that take no time."""

    async def exchange(commands: Sequence[Command], _: bool) -> list[Any]:
        return answers(keyspace, commands)

    return exchange


class StubRedis(Redis):
    """A client whose commands go through ``exchange``."""

    def __init__(self, exchange: Exchange) -> None:
        # Making a client takes redis-py a millisecond.
        self.__dict__.update(_template().__dict__)
        self._exchange = exchange

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        (reply,) = await self._exchange([args], False)
        if isinstance(reply, Exception):
            raise reply
        return _read(self, args, options, reply)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _StubPipeline(self._exchange, self, transaction)


@cache
def _template() -> Redis:
    """A client whose replies are as scripts see them."""
    return Redis(protocol=2)


@cache
def _pipeline_template() -> Pipeline:
    client = _template()
    return Pipeline(client.connection_pool, client.response_callbacks, False, None)


class _StubPipeline(Pipeline):
    def __init__(self, exchange: Exchange, client: Redis, transaction: bool) -> None:
        # Making a pipeline takes redis-py longer than the stub needs for a command.
        self.__dict__.update(_pipeline_template().__dict__)
        self.command_stack = []
        self.scripts = set()
        self.is_transaction = transaction
        self.response_callbacks = client.response_callbacks
        self._exchange = exchange

    async def reset(self) -> Any:
        self.command_stack = []

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack: list[Any] = self.command_stack
        self.command_stack = []
        if not stack:
            return []
        replies = await self._exchange([args for args, _ in stack], self.is_transaction)
        found = [
            reply if isinstance(reply, Exception) else _read(self, args, options, reply)
            for (args, options), reply in zip(stack, replies, strict=True)
        ]
        if raise_on_error:
            for reply in found:
                if isinstance(reply, Exception):
                    raise reply
        return found


def _read(client: Redis, args: Command, options: dict[str, Any], reply: Any) -> Any:
    # Not as redis-py, which looks for the name in capitals: all commands are.
    callbacks: Any = client.response_callbacks
    callback: Any = dict.get(callbacks, args[0])
    if callback is None:
        return reply
    options.pop("keys", None)
    return callback(reply, **options)
