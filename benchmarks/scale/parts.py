"""What the simulation in `world` consists of: sessions with requests, Redis servers, and the gateways' publishers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from benchmarks.scale.queues import Station


@dataclass(frozen=True)
class Plan:
    """The size of a world, and what happens in it. Times are in seconds from its beginning."""

    sessions: int = 100_000
    servers: int = 4
    gateways: int = 300
    translators: int = 8
    session_states: int = 8
    #: The first server is lost, and comes back; None: nothing happens.
    lost_at: float | None = 20.0
    back_at: float = 50.0
    seconds: float = 110.0
    #: Whether it still has its data when it comes back.
    keeps_data: bool = False
    #: Whether clients may return.
    journals: bool = False
    seed: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"redis-{number}" for number in range(1, self.servers + 1))


@dataclass(slots=True, eq=False)
class Request:
    """What a client has asked for."""

    session: Session
    life: int
    asked: float
    #: When the slot was free for it for the first time.
    ready: float | None = None
    #: A translator has answered: it is held, or was released.
    answered: bool = False
    #: How often it was published, and carried out.
    published: int = 0
    executed: int = 0


@dataclass(slots=True, eq=False)
class Session:
    """The place of one call after the other. What belongs to an earlier ``life`` is over."""

    number: int
    gateway: int
    server: Server
    life: int = 0
    #: Whether a reply runs, and the version of the turn record.
    active: bool = False
    version: int = 0
    freed: float = 0.0
    #: The next journal entry is whole.
    unwritten: bool = False
    requests: list[Request] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a turn record says."""

    session: Session
    life: int
    version: int
    active: bool
    #: The first one after the server was away.
    caught_up: bool = False


@dataclass(slots=True, eq=False)
class Publisher:
    """What one gateway has to publish at one server, each place once."""

    server: Server
    backoff: float
    queue: dict[Session | Request, None] = field(default_factory=dict)
    #: A batch or a pause is under way.
    busy: bool = False


@dataclass(slots=True, eq=False)
class Server:
    """A Redis server."""

    name: str
    station: Station
    up: bool = True
    #: Changes when the server is lost, and when it comes back: what was under way before has no effect.
    epoch: int = 0
    #: The newest record of each session, by its number: life, version, whether a reply runs.
    view: dict[int, tuple[int, int, bool]] = field(default_factory=dict)
    held: dict[int, list[Request]] = field(default_factory=dict)
    #: When the sweeper looks at a session, in this order.
    look: deque[tuple[float, int]] = field(default_factory=deque)
    publishers: list[Publisher] = field(default_factory=list)
    #: When each gateway reads its commands again.
    reads_from: list[float] = field(default_factory=list)

    def forget(self) -> None:
        self.view.clear()
        self.held.clear()
        self.look.clear()
