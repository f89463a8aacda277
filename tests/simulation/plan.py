"""Everything that one seed decides: who talks, over which network, in what weather. A value, so it can be cut down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from string import ascii_lowercase

from gateway.conversation.limits import Limits
from gateway.turn.requests import Patience
from tests.simulation import script
from tests.simulation.script import Script
from translator.mapping.defaults import Defaults
from translator.mapping.turn_detection import TurnDetection
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.faults import Fault


@dataclass(frozen=True, slots=True)
class Weather:
    """What Redis does to messages and commands, and what befalls the processes behind it. Rates are per message or per
    command."""

    loss: float = 0.0
    duplication: float = 0.0
    #: A message that comes late, and by how many seconds at most.
    lateness: float = 0.0
    latest: float = 0.0
    #: A process dies instead of going on to the next step of its handler.
    death: float = 0.0
    #: When the server goes with all its data, and for how long it is gone (0: it is only emptied).
    outages: tuple[tuple[float, float], ...] = ()
    #: When it begins to refuse commands, for how long, and how: ``OOM``, ``READONLY`` or ``LOADING``.
    refusals: tuple[tuple[float, float, str], ...] = ()
    #: From then on all is well.
    ends: float = 0.0

    @property
    def calm(self) -> bool:
        return not (self.loss or self.duplication or self.lateness or self.death or self.outages or self.refusals)

    @property
    def keeps(self) -> bool:
        """Whether Redis keeps what is written, and takes it at once."""
        return not (self.outages or self.refusals)


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds."""

    seed: int
    scripts: tuple[Script, ...]
    weather: Weather
    behaviour: Behaviour
    limits: Limits
    defaults: Defaults
    #: One way between gateway and upstream: at least, and by how much more at most.
    distance: float
    jitter: float
    #: One way through the broker.
    hop: float
    #: Processes of each kind.
    translators: int
    session_states: int
    #: What a dead translator left pending is taken over after this; a dead process is back after this.
    reclaim_after: float
    restart_after: float
    #: The broker's data may outlive the patience of the gateway: requests may be given up.
    hopeless: bool = False
    #: What ails the upstream, and how many of its responses, or of our requests (0 for all).
    sickness: Fault | None = None
    sickness_times: int = 1
    #: How long it takes until another connection to the upstream is open, beyond the way there; in turn.
    redials: tuple[float, ...] = (0.0,)
    #: Gateways may be cut off from the broker.
    cuts: bool = False

    @property
    def calm(self) -> bool:
        """Whether nothing is late."""
        return self.weather.calm and not self.cuts

    @property
    def claim_wait(self) -> float:
        """Seconds for which a gateway that was the owner of a session may complete its journal."""
        return max(0.5, 12 * self.hop)

    @property
    def gives_up(self) -> bool:
        """Whether requests may be given up in such weather."""
        return self.hopeless or self.limits.patience.give_up < Patience().give_up


#: How many sessions share the gateways, processes and Redis of the first few: mostly none, so that a run sees as many
#: kinds of weather and of trouble as it can, and now and then a crowd.
_FURTHER = (0, 0, 0, 0, 0, 0, 0, 8)


def draw(seed: int) -> Plan:
    """The plan of this seed: the same one every time."""
    random = Random(seed)
    hopeless = random.random() < 0.02
    weather = _weather(random, hopeless)
    limits = Limits(
        requests=256 if random.random() < 0.9 else random.randint(3, 8),
        call=random.choice((1.0, 2.0)),
        reconnect=10.0,
        rollover=Random(seed * 8 + 3).choice((0.0, 0.0, 0.0, 0.7, 3.0)),
        heartbeat=random.choice((2.0, 10.0)),
        patience=Patience(give_up=15.0 if hopeless else 60.0),
    )
    sickness, times, patient = _sickness(Random(seed * 8 + 5))
    if sickness is not None:
        patience = limits.patience if patient else Patience(give_up=12.0)
        limits = replace(limits, reply=3.0, response_silence=4.0, patience=patience)
    hostile = random.random() < 0.25
    sessions = 1 if random.random() < 0.5 else random.randint(2, 3)
    scripts = [_script(random, seed, index, limits.call, hostile=hostile) for index in range(sessions)]
    further = Random(f"{seed} further")
    scripts += [
        _script(further, seed, index, limits.call, hostile=hostile)
        for index in range(sessions, sessions + further.choice(_FURTHER))
    ]
    return Plan(
        seed=seed,
        # Responses to silence that never end well would keep a session from its rest.
        scripts=tuple(scripts if sickness is None else map(script.without_idle_timeout, scripts)),
        weather=weather,
        behaviour=_behaviour(random),
        limits=limits,
        defaults=Defaults(
            model="gpt-realtime",
            transcription_model="gpt-4o-mini-transcribe",
            turn_detection=TurnDetection(
                create_response=random.random() >= 0.3,
                kind="semantic_vad" if random.random() < 0.1 else "server_vad",
            ),
        ),
        distance=random.choice((0.0005, 0.005, 0.03, 0.15)),
        jitter=random.choice((0.0, 0.002, 0.05)),
        hop=random.choice((0.0003, 0.001, 0.01, 0.04)),
        translators=random.randint(1, 3),
        session_states=random.randint(1, 2),
        reclaim_after=random.choice((2.0, 5.0)),
        restart_after=random.choice((0.1, 2.0)),
        hopeless=hopeless,
        sickness=sickness,
        sickness_times=times,
        redials=tuple(Random(seed * 8 + 4).choices((0.0, 0.0, 0.1, 1.5, 4.0), k=3)),
        cuts=Random(seed * 8 + 5).random() < 0.15,
    )


def _script(random: Random, seed: int, index: int, call_timeout: float, *, hostile: bool) -> Script:
    drawn = script.draw(random, ascii_lowercase[index], call_timeout=call_timeout, hostile=hostile)
    return script.with_a_bad_line(drawn, Random(seed * 8 + index + 0.5))


#: Those after which a session must come to rest: its turn becomes free, and its requests are carried out or told.
_SICKNESSES = (
    Fault.DONE_MISSING,
    Fault.CREATED_THEN_SILENCE,
    Fault.CANCEL_UNANSWERED,
    Fault.CREATE_UNANSWERED,
    Fault.RACE_WITHOUT_EVENT_ID,
    Fault.LATE_CREATED,
    Fault.DONE_UNREADABLE,
    Fault.REFUSED_FUNCTION_RESULT,
    Fault.VAD_STUCK,
)


def _sickness(random: Random) -> tuple[Fault | None, int, bool]:
    """What ails the upstream, how often, and whether requests are waited for long."""
    if random.random() >= 0.1:
        return None, 1, True
    return random.choice(_SICKNESSES), random.choice((1, 1, 3, 0)), random.random() < 0.5


def _weather(random: Random, hopeless: bool) -> Weather:
    if hopeless:
        return Weather(outages=((random.uniform(0.0, 4.0), random.uniform(10.0, 40.0)),), ends=50.0)
    kind = random.random()
    if kind < 0.3:
        return Weather()
    worst = 0.1 if kind < 0.7 else 0.5

    def perhaps(most: float) -> float:
        return random.uniform(0.0, most) if random.random() < 0.6 else 0.0

    ends = random.uniform(4.0, 20.0)
    outages = random.choice((0, 0, 0, 1) if worst < 0.5 else (0, 1, 2, 3))
    refusals = random.choice((0, 0, 0, 0, 1) if worst < 0.5 else (0, 0, 1, 2))
    return Weather(
        loss=perhaps(worst),
        duplication=perhaps(worst),
        lateness=perhaps(worst),
        latest=random.choice((0.1, 1.0, 8.0)),
        death=perhaps(worst / 2),
        outages=tuple((random.uniform(0.0, ends), random.choice((0.0, 0.0, 0.5, 3.0))) for _ in range(outages)),
        refusals=tuple(
            (random.uniform(0.0, ends), random.uniform(0.1, 3.0), random.choice(("OOM", "READONLY", "LOADING")))
            for _ in range(refusals)
        ),
        ends=ends,
    )


def _behaviour(random: Random) -> Behaviour:
    return Behaviour(
        created_delay=random.choice((0.0, 0.005, 0.02, 0.1)),
        thinking=random.choice((0.0, 0.05, 0.4)),
        text_interval=random.choice((0.02, 0.3)),
        words_per_delta=12,
        cancel_delay=random.choice((0.0, 0.03, 0.2)),
        auto_response_delay=random.choice((0.0, 0.01, 0.05, 0.3)),
        auto_create_fails_silently=random.random() < 0.5,
        record_entries=0,
    )
