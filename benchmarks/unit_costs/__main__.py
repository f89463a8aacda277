"""``python -m benchmarks.unit_costs`` measures what one unit of work costs in every process; four minutes.

CPU time and bytes are measured, and not time, since other work on the machine changes them least. ``--write`` replaces
the figures that docs/scale.md is computed from; then run ``make scale``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from redis.asyncio import Redis

from benchmarks.certificates import self_signed
from benchmarks.environment import processes_of, turngate
from benchmarks.load.generator import Generator
from benchmarks.machine import Cores, description, divide
from benchmarks.processes import allow_open_files, resident_by_kind
from benchmarks.scale.costs import CLAIM, FILE, SILENT, Memory, UnitCosts, write
from benchmarks.unit_costs import direct, live
from benchmarks.unit_costs.callers import calling
from benchmarks.unit_costs.claims import claim
from benchmarks.unit_costs.live import Size
from turngate.local.stack import Stack

#: Small enough for a test. Its figures are meaningless.
_SMOKE = Size(
    rounds=1, sessions=2, audio_sessions=2, seconds=1.0, memory_sessions=4, cycles=1, checks=(2, 4), check_seconds=4.0
)
#: Seconds between two records of a silent session, where they are measured.
_HEARTBEAT = 0.25


def main() -> int:
    """Raises if a part does not work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unit_costs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=Size.rounds, help="results are the medians of so many rounds")
    parser.add_argument("--smoke", action="store_true", help="with minimal size and duration")
    parser.add_argument("--write", nargs="?", type=Path, const=FILE, metavar="FILE", help=f"write {FILE.name}")
    given = parser.parse_args()
    if given.smoke and given.write == FILE:
        parser.error(f"{FILE.name} needs the full size")
    size = _SMOKE if given.smoke else replace(Size(), rounds=given.rounds)
    allow_open_files(5 * max(size.checks) + 500)
    costs = uvloop.run(measure(size, divide()))
    for line in _summary(costs):
        print(line, flush=True)
    if given.write:
        write(costs, given.write)
    return 0


async def measure(size: Size, cores: Cores) -> UnitCosts:
    """All unit costs."""
    with TemporaryDirectory() as folder:
        certificate = self_signed(Path(folder), "localhost")
        trust = {"SSL_CERT_FILE": str(certificate[0]), "TURNGATE_PARKED_MAX": "100000"}
        async with Generator(certificate) as generator:
            url = generator.tls_url
            async with turngate(url, cores, translators=1, env=trust) as stack, _redis(stack) as redis:
                process = {kind: float(held) for kind, held in resident_by_kind(processes_of(stack)).items()}
                silent, plain, descriptors = await live.silent_memory(generator, stack, redis, size)
            async with turngate(url, cores, translators=1, env=trust) as stack, _redis(stack) as redis:
                talked, parked, journal = await live.memory(generator, stack, redis, size)
            memory = Memory(process, silent, talked, parked, plain, journal)
            async with turngate(url, cores, translators=1, env=trust) as stack, _redis(stack) as redis:
                work = await live.units(generator, stack, redis, size)
                async with calling(generator, stack.gateway_url, 1) as (caller,):
                    for _ in range(size.cycles):
                        await caller.exchanges.cycle(0.1, 0.2, 0.2)
                        await caller.turn()
                    parts = await direct.journal_of(redis)
                checks = await live.checks(generator, stack, redis, size)
                work |= await direct.units(stack, redis, parts, size)
            beating = {**trust, "TURNGATE_HEARTBEAT_MS": str(round(_HEARTBEAT * 1_000))}
            async with turngate(url, cores, translators=1, env=beating) as stack, _redis(stack) as redis:
                work[SILENT] = await live.silent(generator, stack, redis, size, _HEARTBEAT)
            async with turngate(url, cores, translators=1, gateways=2, env=trust) as stack, _redis(stack) as redis:
                work[CLAIM] = await claim(generator, stack, redis, size)
    # A commit would be that before the results.
    about = {name: text for name, text in description().items() if name != "commit"}
    return UnitCosts(about, size.rounds, work, memory, descriptors, checks)


def _redis(stack: Stack) -> Redis:
    return Redis.from_url(stack.redis_url)


def _summary(costs: UnitCosts) -> list[str]:
    """The results as text for the terminal."""
    lines = [
        f"{name:26} " + ", ".join(f"{kind} {spent * 1e6:.0f} µs" for kind, spent in cost.cpu.items())
        for name, cost in costs.work.items()
    ]
    return [*lines, f"{costs.memory}", f"{costs.descriptors:.1f} open files per session"]


if __name__ == "__main__":
    sys.exit(main())
