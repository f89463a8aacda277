"""Baseline B: a round trip between two processes over two Redis streams, with redis-py and uvloop.

XADD, XREADGROUP in the other process, XADD, XREAD, without a framework, validation or acknowledgement. This is the
minimum cost of any control plane on two streams.
``python -m benchmarks.baselines.round_trip REDIS_URL SECONDS RATE`` prints p50 and p99 in seconds as JSON. RATE is the
number of round trips started per second, independently of their completion; 0 starts each after the previous one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from typing import Any

import orjson
import redis.asyncio
import uvloop

from benchmarks.percentiles import percentile

_THERE, _BACK, _GROUP = "benchmark.there", "benchmark.back", "echo"
#: About the size of a client event with its turn record.
_BODY = b"x" * 600
_BLOCK_MS = 2_000
_LENGTH = 1_000
#: Seconds between consecutive round trips, as between requests of the control part with one session.
PAUSE = 0.05


def _client(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(url, socket_timeout=15)


async def _echo(url: str) -> None:
    client = _client(url)
    while True:
        found: Any = await client.xreadgroup(_GROUP, "echo", {_THERE: ">"}, count=16, block=_BLOCK_MS)
        for entry, fields in _entries(found):
            await client.xadd(_BACK, fields, maxlen=_LENGTH, approximate=True)
            await client.xack(_THERE, _GROUP, entry)


async def _ask(url: str, seconds: float, rate: float) -> list[float]:
    """The duration of every round trip, in seconds."""
    client = _client(url)
    sent: dict[bytes, tuple[float, asyncio.Future[None]]] = {}
    took: list[float] = []

    async def listen() -> None:
        last = b"$"
        while True:
            found: Any = await client.xread({_BACK: last}, count=16, block=_BLOCK_MS)
            now = time.monotonic()
            for entry, fields in _entries(found):
                last = entry
                began, back = sent.pop(fields[b"id"])
                took.append(now - began)
                back.set_result(None)

    async def go(number: int) -> None:
        name, back = b"%d" % number, asyncio.get_running_loop().create_future()
        sent[name] = time.monotonic(), back
        await client.xadd(_THERE, {b"id": name, b"body": _BODY}, maxlen=_LENGTH, approximate=True)
        await back

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0.1)
    began, number = time.monotonic(), 0
    async with asyncio.timeout(seconds + 10), asyncio.TaskGroup() as group:
        while (now := time.monotonic()) < began + seconds:
            number += 1
            if rate:
                group.create_task(go(number))
                await asyncio.sleep(max(0.0, began + number / rate - now))
            else:
                await go(number)
                await asyncio.sleep(PAUSE)
    listener.cancel()
    return took


def _entries(found: Any) -> list[tuple[bytes, dict[Any, Any]]]:
    """The entries of one stream, in the reply format of either version of the Redis protocol."""
    if not found:
        return []
    entries = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
    return list(entries)


async def _main(url: str, seconds: float, rate: float) -> None:
    took = sorted(await _ask(url, seconds, rate))
    print(orjson.dumps({"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}).decode())


def _serve(url: str) -> None:
    uvloop.run(_echo(url))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    address, duration, per_second = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    with redis.Redis.from_url(address) as setup:
        setup.delete(_THERE, _BACK)
        setup.xgroup_create(_THERE, _GROUP, id="0", mkstream=True)
    echo = multiprocessing.Process(target=_serve, args=(address,), daemon=True)
    echo.start()
    try:
        uvloop.run(_main(address, duration, per_second))
    finally:
        echo.kill()
        echo.join()
        with redis.Redis.from_url(address) as setup:
            setup.delete(_THERE, _BACK)
