"""The unit costs that docs/scale.md computes with, as `python -m benchmarks.unit_costs` measured them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter

FILE = Path(__file__).parent / "unit_costs.json"

#: The kinds of processes.
GATEWAY, TRANSLATOR, SESSION_STATE, REDIS = "gateway", "translator", "session-state", "broker"
KINDS = (GATEWAY, TRANSLATOR, SESSION_STATE, REDIS)
#: The units of work that are measured with a gateway, on processes that have little to do.
CONNECT, SILENT, UP, BOTH = "connect", "record of a silent session", "second of audio up", "second of audio both ways"
TURN, SETTINGS, EXCHANGE, CLAIM = "turn", "Settings", "exchange", "claim"
#: The units that are measured without a gateway, with as much at a time as there is when a server is busy.
RECORD, REQUEST, ENTRY, WHOLE, REVISIT, CLAIMED = (
    "busy: record",
    "busy: request",
    "busy: journal entry",
    "busy: whole journal",
    "busy: revisit",
    "busy: claim",
)
#: What is counted within a unit.
RECORDS, REQUESTS, ENTRIES = "records", "requests", "journal entries"


@dataclass(frozen=True)
class Cost:
    """One unit of work, in the median of the rounds."""

    #: CPU seconds by kind of process.
    cpu: Mapping[str, float]
    #: The lowest and the highest sum of the CPU seconds, of all rounds.
    spread: tuple[float, float]
    #: Bytes to Redis and from it, on its connections.
    to_redis: float = 0.0
    from_redis: float = 0.0
    #: What the unit consists of, as seen in Redis: turn records, requests, journal entries.
    counts: Mapping[str, float] | None = None

    def of(self, kind: str) -> float:
        """The CPU seconds of this kind of process."""
        return self.cpu.get(kind, 0.0)

    def count(self, name: str) -> float:
        return (self.counts or {}).get(name, 0.0)


@dataclass(frozen=True)
class Check:
    """A measurement of everything together, to compare the model with."""

    name: str
    sessions: int
    seconds: float
    #: How many of each unit were done, by its name.
    units: Mapping[str, float]
    #: CPU seconds by kind of process.
    cpu: Mapping[str, float]


@dataclass(frozen=True)
class Memory:
    """Bytes. Those of a session are resident memory of the gateway; those of Redis are what it says of itself."""

    #: Of each process that has no session, by kind.
    process: Mapping[str, float]
    silent: float
    talked: float
    parked: float
    redis_plain: float
    redis_journal: float


@dataclass(frozen=True)
class UnitCosts:
    """All results of a run."""

    #: The machine, the libraries and the commit.
    about: Mapping[str, str]
    rounds: int
    work: Mapping[str, Cost]
    memory: Memory
    #: Open files of a gateway per session.
    descriptors: float
    checks: tuple[Check, ...]

    def cpu(self, unit: str, kind: str) -> float:
        """The CPU seconds of this kind of process for one unit."""
        return self.work[unit].of(kind)


def read(file: Path = FILE) -> UnitCosts:
    """Raises OSError or ValueError if there is no such file, or another one."""
    return TypeAdapter(UnitCosts).validate_json(file.read_bytes())


def write(costs: UnitCosts, file: Path = FILE) -> None:
    file.write_bytes(orjson.dumps(asdict(costs), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
