"""Runs the simulations, and keeps what docs/scale.md shows of them, with what they were computed from."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from benchmarks.percentiles import percentile
from benchmarks.scale.calls import CALLS, Calls
from benchmarks.scale.costs import GATEWAY, REDIS, SESSION_STATE, TRANSLATOR, UnitCosts
from benchmarks.scale.gateway_loss import GatewayLoss, lose
from benchmarks.scale.needs import need
from benchmarks.scale.occupancy import occupancy
from benchmarks.scale.parts import Plan
from benchmarks.scale.prices import Prices, Rules, prices, rules
from benchmarks.scale.world import World

FILE = Path(__file__).parent / "simulated.json"

#: Seconds after the beginning until the counts are those of a steady state.
_WARM_UP = 10.0
#: A queue is as before if its longest wait is at most so many times what it was, or so many seconds.
_AS_BEFORE, _SHORT = 3.0, 0.1
#: The numbers of servers for which the time of recovery is compared, and whether the one that was away kept its data;
#: and the factor by which sessions are fewer and costs higher there.
HEADROOM, _FEWER = ((3, False), (4, False), (4, True), (5, False), (6, False)), 10
#: Seconds before the loss in which a request may still be under way when it comes.
_UNTOUCHED = 2.0
#: Workers of one machine that is lost as a whole.
MACHINE = 16
#: Seconds for which a server is away where the calls per server are counted, for how long, and how often.
AWAY, OBSERVED, STEP = 300.0, 1_800.0, 30.0


@dataclass(frozen=True)
class Waits:
    """How long requests waited although their slot was free, in seconds."""

    requests: int
    p50: float
    p99: float
    p999: float


@dataclass(frozen=True)
class Loss:
    """The loss of a server. The lost one is the first."""

    plan: Plan
    #: Requests: asked, carried out, ended with their call, still open at the end.
    asked: int
    executed: int
    ended: int
    open: int
    again: int
    repeated: int
    #: Of requests whose slot was free before the loss, during it, and after the return: at the server and at others.
    lost_before: Waits
    lost_during: Waits
    lost_after: Waits
    others_before: Waits
    others_during: Waits
    others_after: Waits
    #: Of those that waited for the server: from its return to their release.
    since_return: Waits
    #: Per second: p99 of the waits, in seconds, of requests that were carried out in it; None if there was none.
    p99_lost: list[float | None]
    p99_others: list[float | None]
    #: Per second, by server: the share of its core that was used, and what waited at its publishers.
    share: dict[str, list[float]]
    backlog: dict[str, list[int]]
    #: The same of a process of translators, and of session-state.
    translators: list[float]
    session_states: list[float]
    #: The longest wait for the server's CPU in the storm, and until how many seconds after the return it was longer
    #: than ever before the loss.
    queue: float
    over: float
    rewritten: int
    begun: dict[str, int]


@dataclass(frozen=True)
class Recovery:
    """How one of so many servers recovers: the share of its core before it was lost, and seconds."""

    servers: int
    kept: bool
    share: float
    #: Until its queue is as before; the end of the simulation if it is not until then.
    over: float
    #: From its return to the release of a request that could have gone while it was away.
    p50: float
    p99: float


@dataclass(frozen=True)
class Simulated:
    """All results, and their inputs."""

    rules: Rules
    calls: Calls
    losses: dict[str, Loss]
    #: By the name of the loss.
    prices: dict[str, Prices]
    recoveries: list[Recovery]
    #: By server, at every `STEP` from the loss on.
    occupancy: list[list[int]]
    gateway: GatewayLoss
    machine: GatewayLoss


#: The names of the losses.
PLAIN, KEPT, RETURNING = (
    "clients cannot return",
    "clients cannot return, the server kept its data",
    "clients may return",
)


def plans(costs: UnitCosts, sessions: int = 100_000) -> dict[str, Plan]:
    """As many processes as so many sessions need: with four Redis servers where clients cannot return, and with as many
    as are needed where they may."""
    plain, returning = (need(costs, CALLS, sessions, journals=journals).processes for journals in (False, True))
    four = Plan(
        sessions=sessions,
        gateways=plain[GATEWAY],
        translators=plain[TRANSLATOR],
        session_states=plain[SESSION_STATE],
    )
    return {
        PLAIN: four,
        RETURNING: replace(four, servers=max(2, returning[REDIS]), journals=True),
    }


def simulate(costs: UnitCosts, wanted: Mapping[str, Plan], say: Callable[[str], None]) -> Simulated:
    """Run everything; two minutes for 100,000 sessions."""
    settings = rules()
    priced = {name: prices(costs, journals=plan.journals) for name, plan in wanted.items()}
    losses = {}
    for name, plan in wanted.items():
        say(f"{plan.sessions:,} sessions on {plan.servers} Redis servers, one of them is lost: {name} ...")
        losses[name] = loss(World(plan, CALLS, priced[name], settings))
    plan = wanted[PLAIN]
    say("the same with more servers ...")
    recoveries = [
        _recovery(replace(plan, servers=servers, keeps_data=kept), priced[PLAIN], settings)
        for servers, kept in HEADROOM
    ]
    say("calls per server, and the loss of gateways ...")
    counts = occupancy(CALLS, plan.sessions, plan.names, AWAY, OBSERVED, STEP)
    each = round(plan.sessions / plan.gateways)
    share = need(costs, CALLS, plan.sessions).cores[GATEWAY] / plan.gateways
    gateway, machine = (
        lose(
            each * lost,
            max(1, plan.gateways - lost),
            wanted[RETURNING].servers,
            share,
            priced[RETURNING],
            settings,
        )
        for lost in (1, MACHINE)
    )
    return Simulated(settings, CALLS, losses, priced, recoveries, counts, gateway, machine)


def _recovery(plan: Plan, given: Prices, settings: Rules) -> Recovery:
    """With fewer sessions, each of which costs as much more: the same shares and backlogs, in less time."""
    dearer = Prices(**{name: _FEWER * cost for name, cost in asdict(given).items()})
    few = replace(plan, sessions=plan.sessions // _FEWER, gateways=max(1, plan.gateways // _FEWER))
    found = loss(World(few, CALLS, dearer, settings))
    begin, end = int(_WARM_UP), int(plan.lost_at or 0)
    share = sum(found.share[plan.names[0]][begin:end]) / (end - begin)
    return Recovery(plan.servers, plan.keeps_data, share, found.over, found.since_return.p50, found.since_return.p99)


def loss(world: World) -> Loss:
    """Run this world, and sum it up."""
    # Millions of events, none of which is part of a cycle.
    gc.disable()
    try:
        world.run()
    finally:
        gc.enable()
    plan = world.plan
    assert plan.lost_at is not None
    lost_at, back_at, seconds = plan.lost_at, plan.back_at, int(plan.seconds)
    first = world.servers[0]
    spans = ((_WARM_UP, lost_at - _UNTOUCHED), (lost_at, back_at), (back_at, plan.seconds))
    at_lost, at_others = (
        [
            waits_of(
                [took for name, ready, took in world.waits if begin <= ready < end and (name == first.name) is own]
            )
            for begin, end in spans
        ]
        for own in (True, False)
    )
    since = [
        ready + took - back_at
        for name, ready, took in world.waits
        if name == first.name and ready < back_at <= ready + took
    ]
    waited = [first.station.waited.get(number, 0.0) for number in range(seconds)]
    before = max(waited[int(_WARM_UP) : int(lost_at)], default=0.0)
    limit = max(_AS_BEFORE * before, _SHORT)
    over = max((number for number in range(int(back_at), seconds) if waited[number] > limit), default=back_at - 1)
    return Loss(
        plan=plan,
        asked=world.asked,
        executed=world.executed,
        ended=world.ended,
        open=world.open,
        again=world.again,
        repeated=world.repeated,
        lost_before=at_lost[0],
        lost_during=at_lost[1],
        lost_after=at_lost[2],
        others_before=at_others[0],
        others_during=at_others[1],
        others_after=at_others[2],
        since_return=waits_of(since),
        p99_lost=_p99(world, seconds, own=True),
        p99_others=_p99(world, seconds, own=False),
        share={one.name: [round(one.station.busy.get(n, 0.0), 4) for n in range(seconds)] for one in world.servers},
        backlog={name: found[:seconds] for name, found in world.backlog.items()},
        translators=[round(world.translators.busy.get(n, 0.0) / plan.translators, 4) for n in range(seconds)],
        session_states=[round(world.session_states.busy.get(n, 0.0) / plan.session_states, 4) for n in range(seconds)],
        queue=max(waited[int(back_at) :], default=0.0),
        over=over + 1 - back_at,
        rewritten=world.rewritten,
        begun=world.begun,
    )


def waits_of(values: Sequence[float]) -> Waits:
    """The percentiles of these times; zeros if there are none."""
    ascending = sorted(values)
    if not ascending:
        return Waits(0, 0.0, 0.0, 0.0)
    return Waits(len(ascending), *(percentile(ascending, share) for share in (0.5, 0.99, 0.999)))


def _p99(world: World, seconds: int, *, own: bool) -> list[float | None]:
    found: list[list[float]] = [[] for _ in range(seconds)]
    for name, ready, took in world.waits:
        if (name == world.servers[0].name) is own and ready + took < seconds:
            found[int(ready + took)].append(took)
    return [round(percentile(sorted(values), 0.99), 5) if values else None for values in found]


def read(file: Path = FILE) -> Simulated:
    """Raises OSError or ValueError if there is no such file, or another one."""
    return TypeAdapter(Simulated).validate_json(file.read_bytes())


def write(simulated: Simulated, file: Path = FILE) -> None:
    file.write_bytes(orjson.dumps(asdict(simulated), option=orjson.OPT_APPEND_NEWLINE))


def up_to_date(simulated: Simulated, costs: UnitCosts) -> bool:
    """Whether these results are those of these unit costs, and of the settings as they are."""
    wanted = plans(costs)
    return (
        simulated.rules == rules()
        and simulated.calls == CALLS
        and {name: one.plan for name, one in simulated.losses.items()} == wanted
        and simulated.prices == {name: prices(costs, journals=plan.journals) for name, plan in wanted.items()}
    )
