"""What a worker is told by its supervisor: its number, where it serves, and its share of the gateway's limits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from uuid import uuid4

from gateway.config import GatewaySettings

#: Characters of a gateway's name on the streams.
_NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class Place:
    """One worker's place."""

    number: int
    #: How many workers share the gateway's limits.
    workers: int
    #: The public address that they share; the port is a real one.
    host: str
    port: int
    #: The path of the Unix socket on which it answers its supervisor.
    internal: str
    #: The path of the file in which the workers count together.
    shared: str

    def to_text(self) -> str:
        """The place as an argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Place:
        return cls(**json.loads(text))


def share_of(settings: GatewaySettings, place: Place) -> GatewaySettings:
    """The settings of the worker at this place.

    Sessions and connections are counted by all workers together (`gateway.workers.shared`). What else is a limit of the
    whole gateway is divided; of what does not divide, the first workers have one more. A name on the streams that the
    operator chose gets a suffix, since two processes, and two starts of one, must differ in it.
    """
    share = {
        "gateway_host": place.host,
        "gateway_port": place.port,
        "gateway_workers": place.workers,
        "sessions_max_bytes": _part(settings.sessions_max_bytes, place),
        "parked_max": _part(settings.parked_max, place),
    }
    if "gateway_id" in settings.model_fields_set:
        suffix = f"-{place.number}-{uuid4().hex[:6]}"
        share["gateway_id"] = settings.gateway_id[: _NAME_MAX - len(suffix)] + suffix
    return settings.model_copy(update=share)


def _part(limit: int, place: Place) -> int:
    """This worker's part of a limit; at least one, unless there is no limit."""
    if not limit:
        return 0
    whole, rest = divmod(limit, place.workers)
    # The number of a worker that replaces another one may be larger than their count.
    position = (place.number - 1) % place.workers
    return max(1, whole + (position < rest))
