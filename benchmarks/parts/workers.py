"""The workers part: the largest number of sessions with one and with two workers of a gateway, each on a core of its
own, at which 99 % of the frames arrive within 20 ms. It is printed; the report has the ratio, among the targets.

The load generator is one process on a core of its own, with all other services. If it was nearly busy, the ratio is
that of the generator, and is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx

from benchmarks.environment import Environment, Subject, processes_of, turngate
from benchmarks.machine import Cores
from benchmarks.parts import capacity
from benchmarks.parts.capacity import Capacity
from benchmarks.processes import pin
from turngate.local.stack import Stack

COUNTS = (1, 2)
#: The client's sample rate in Hz.
_RATE = 16_000
#: The generator's share of its core from which it may be what limits.
_BUSY = 0.85


@dataclass(frozen=True)
class Skipped:
    """Why the part was not run."""

    reason: str


#: The capacity by number of workers.
Samples = dict[int, Capacity]


def cores_for(cores: Cores) -> Sequence[int] | Skipped:
    """A core for each of the workers, beside the generator's."""
    free = sorted(cores.every - cores.load)
    if len(free) < max(COUNTS):
        needed = max(COUNTS) + 1
        return Skipped(
            f"skipped: it needs {needed} cores, one for the load generator and one for each of {max(COUNTS)} workers, "
            f"and this machine has {len(cores.every)}"
        )
    return free[: max(COUNTS)]


async def run(
    environment: Environment, candidates: Sequence[int], seconds: float, say: Callable[[str], None]
) -> Samples:
    """Run the part; empty if it was skipped. ``candidates``: numbers of sessions for one worker, in ascending order."""
    own = cores_for(environment.cores)
    if isinstance(own, Skipped):
        say(own.reason)
        return {}
    found: Samples = {}
    for count in COUNTS:
        env = {**environment.trust, "TURNGATE_GATEWAY_WORKERS": str(count)}
        cores = replace(environment.cores, test=environment.cores.load)
        async with turngate(environment.generator.tls_url, cores, env=env) as stack:
            workers = await _workers(stack)
            for pid, core in zip(workers.values(), own, strict=False):
                pin(pid, {core})
            subject = Subject(f"{count} workers", stack.gateway_url, {**processes_of(stack), **workers}, _RATE)
            wanted = [count * candidate for candidate in candidates]
            found[count] = await capacity.find(environment.generator, subject, wanted, seconds)
            say(summary(count, found))
    return found


async def _workers(stack: Stack) -> Mapping[str, int]:
    """The processes that serve clients, by name."""
    async with httpx.AsyncClient(trust_env=False) as http:
        health = (await http.get(f"{stack.internal_url('gateway')}/health")).json()
    listed = health.get("workers")
    if listed is None:
        return {name: pid for name, pid in processes_of(stack).items() if name == "gateway-1"}
    return {f"worker-{one['worker']}": one["pid"] for one in listed}


def summary(count: int, found: Samples) -> str:
    """The result as text for the terminal, with the ratio to one worker."""
    one = found[count]
    least = "at least " if one.beyond else ""
    ratio = f" ({one.sessions / found[1].sessions:.2f}x)" if found[1].sessions else ""
    busy = ", which limits" if one.generator_cpu > _BUSY else ""
    return (
        f"{count} workers: {least}{one.sessions} sessions{ratio}; generator {one.generator_cpu:.0%} of its core{busy}"
    )


def ratio(found: Samples) -> float | None:
    """Sessions with two workers against one. None if that was not measured, or if it was not the workers that
    limited."""
    if any(count not in found for count in COUNTS):
        return None
    one, two = (found[count] for count in COUNTS)
    if not one.sessions or one.beyond or two.beyond or max(one.generator_cpu, two.generator_cpu) > _BUSY:
        return None
    return two.sessions / one.sessions
