"""What the sessions of docs/scale.md do: assumptions, all of them here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calls:
    """The calls in their mean. Every client sends audio all the time, as a telephone does, and may return."""

    #: Seconds of a call.
    length: float = 240.0
    #: Turns per minute: the user speaks, and the agent answers.
    turns: float = 6.0
    #: The agent's share of the time.
    spoken: float = 0.45
    #: Function results and updates per minute.
    requests: float = 2.5

    @property
    def turn_seconds(self) -> float:
        return 60 / self.turns

    @property
    def reply_seconds(self) -> float:
        return self.turn_seconds * self.spoken

    @property
    def requests_per_turn(self) -> float:
        return self.requests / self.turns


CALLS = Calls()

#: The highest shares of a core that processes should use in the mean: so that a burst finds room, and that a Redis
#: server which was away catches up soon.
GATEWAY_SHARE, SERVICE_SHARE, REDIS_SHARE = 0.6, 0.6, 0.5
#: With several Redis servers: the highest share of the processes of a service while one server hands out as much as its
#: core can, as after it was away. Sessions of the other servers would wait behind that otherwise.
STORM_SHARE = 0.8
#: The processes of a service that run at least, so that one may fail.
FEWEST = 2
