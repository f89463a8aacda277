"""docs/scale.md, from the unit costs and the results of the simulation. No I/O."""

from __future__ import annotations

from benchmarks.scale import results, tables
from benchmarks.scale.calls import CALLS, GATEWAY_SHARE, REDIS_SHARE, SERVICE_SHARE
from benchmarks.scale.costs import REDIS, UnitCosts
from benchmarks.scale.gateway_loss import DIAL, RETURNS
from benchmarks.scale.needs import BUSY_FROM, need, per_second
from benchmarks.scale.results import PLAIN, Simulated

SIZES = (200, 10_000, 100_000)


def page(costs: UnitCosts, simulated: Simulated) -> str:
    """The page, in Markdown."""
    plain = simulated.losses[PLAIN]
    away = plain.plan.back_at - (plain.plan.lost_at or 0.0)
    redis = {
        journals: per_second(costs, CALLS, busy=True, journals=journals)[REDIS] * 1e6 for journals in (False, True)
    }
    return f"""# Scale

Use this page to plan a large installation: what 200, 10,000 and 100,000 sessions need, what breaks first, and what
happens when a Redis server or a gateway is lost. `make scale` generates it.

**How far to trust it.** *Measured* are the unit costs below, on one shared machine with two cores, and two loads of 200
and 1,000 sessions that the model is compared with. *Extrapolated* is every figure for 10,000 and 100,000 sessions: unit
cost times number. *Simulated* is the loss of servers and gateways. Nobody has run 100,000 sessions. CPU times depend on
the machine: run `python -m benchmarks.unit_costs --write` and `make scale` on yours.

{chr(10).join(f"- {name}: {value}" for name, value in costs.about.items())}

## What is needed

{tables.needed(costs, SIZES)}

Processes are counted so that a gateway uses {GATEWAY_SHARE:.0%} of a core in the mean, a translator or session-state
{SERVICE_SHARE:.0%}, and a Redis server {REDIS_SHARE:.0%} of the one core that it can use. Several Redis servers are
named in `TURNGATE_REDIS_URLS`, and each session belongs to one of them. With several,
translators and session-state have room for one that catches up after it was away ([below](#a-redis-server-is-lost)).
Where a whole machine may fail, add its share to every row.

The calls: {CALLS.length:.0f} s long, {CALLS.turns:.0f} turns a minute, the agent speaks {CALLS.spoken:.0%} of the time,
{CALLS.requests:g} function results and updates a minute; clients send linear16 at 16 kHz all the time, and the
agent's audio is at 24 kHz; TLS to the upstream. Change `benchmarks/scale/calls.py` for others.

## What breaks first

{tables.breaks(costs, SIZES)}

## Unit costs

CPU time of each kind of process for one unit, medians of {costs.rounds} rounds, all measured by
`python -m benchmarks.unit_costs` (four minutes). *Range* is that of the sum in the rounds. Clients may return, so each
session has a journal.

{tables.live(costs)}

The same without a gateway, with as much at a time as a busy server gets: records published 32 at a time, 200 requests
under way, journals written 16 at a time. With these, translators, session-state and Redis are computed from
{BUSY_FROM:,} sessions on. In the column of the service whose work the measuring program does itself is its own
CPU time.

{tables.busy(costs)}

So one session costs Redis {redis[False]:.0f} µs of CPU per second if its client cannot return, and {redis[True]:.0f} µs
if it may, since it has a journal. At {REDIS_SHARE:.0%} of a core, that is {REDIS_SHARE / redis[False] * 1e6:,.0f} or
{REDIS_SHARE / redis[True] * 1e6:,.0f} sessions per Redis server.

| memory and files | |
|---|---:|
{tables.memory(costs)}

## The model beside measurements

The same unit costs, multiplied by what was done in two loads that were not used to find them, in CPU seconds. For
services the first figure is that of the unit costs on idle processes, and the second that of busy ones: what is
measured should be about between them. With 200 sessions on one core, frames come several at a time, and cost the
gateway less than with 120, with which the unit was measured.

{tables.checks(costs)}

## A Redis server is lost

![{tables.figure_text(plain)}](images/scale-loss.svg)

The simulation (`benchmarks/scale/world.py`) has every session's turns and requests as events, the gateways' publishers
with their batches and pauses, Redis servers, translators and session-state as queues with the measured costs,
retransmissions, the sweeper, and the settings' defaults. Its assumptions: a connection to the lost server is refused at
once; a new call begins at the server that it prefers of those that are there; users go on as before, so that a request
comes as often as ever; the network takes no time, and gateways are never late. So the waits are those for servers and
translators alone; [performance.md](performance.md) has the milliseconds of everything else.

One server is away for {away:.0f} s and comes back without its data, the worst case: one of {plain.plan.servers} where
clients cannot return, and one of as many as the table above asks for where they may. *Wait*: from the moment at which a
request could go (its slot is free) to its release, with the replies that begin in between.

{tables.losses(simulated)}

Audio goes on at all times, and so do replies that the model begins by itself: what waits are function results, updates
and injected messages of the lost server's sessions. **Sessions of other servers feel nothing while it is away.** When
it is back, its requests go through the same translators: hence their number above.

{tables.storm(plain)}

{tables.recoveries(simulated)}

This is why a Redis server should use {REDIS_SHARE:.0%} of its core at most. (Simulated with a tenth of the sessions,
each of which costs ten times as much.) A server that kept its data catches up hardly faster, since the requests of the
meantime wait just the same. The sweeper (`TURNGATE_SWEEP_BATCH` sessions every `TURNGATE_SWEEP_INTERVAL_MS`) matters
only there; what was held on a server that is now empty, gateways ask for again after `TURNGATE_RELEASE_PATIENCE_MS`.

## New calls

Calls stay at the server where they began, and new ones go to the others while one is away. Here the first of
{plain.plan.servers} servers is away for {results.AWAY:.0f} s. Calls at each server, of {plain.plan.sessions:,}:

{tables.occupancy(simulated, costs)}

## A gateway is lost

Its clients return to other gateways {RETURNS[0]:.0f} to {RETURNS[1]:.0f} s later (as Deepgram's SDK for JavaScript
does), each of which claims the session, waits {simulated.rules.claim_wait * 1e3:.0f} ms for an owner that does not
answer any more, connects to the model ({DIAL * 1e3:.0f} ms, assumed), and restores the conversation.

{tables.gateways(simulated)}

Clients that return at once, and all at the same moment, make more claims per second, and are back sooner. What limits a
restart of everything is not turngate: {need(costs, CALLS, 100_000).begin:,.0f} sessions begin per second in normal
operation of 100,000, and the upstream has to accept them.

## Running it again

```sh
python -m benchmarks.unit_costs           # print the unit costs of this machine
python -m benchmarks.unit_costs --write   # replace those that this page is computed from
make scale                                # simulate, and write this page; two minutes
python -m benchmarks.scale --sessions 20000   # simulate another number of sessions
```

The figures of a machine are in `benchmarks/scale/unit_costs.json`, and those of the simulation in
`benchmarks/scale/simulated.json`. `make check` compares the page with both, and the inputs of the simulation with the
unit costs and the settings.
"""
