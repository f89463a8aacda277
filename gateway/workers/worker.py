"""The process of one worker: a gateway with a place. ``python -m gateway.workers.worker PLACE`` runs it.

It tells its supervisor on standard output why it cannot start, since many of them would tell an operator many times.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import turngate.bus.without_opentelemetry  # noqa: F401 - before the modules that use redis-py
from gateway.app import Seat, run
from gateway.config import GatewaySettings
from gateway.workers.place import Place, share_of
from gateway.workers.shared import SharedFile
from turngate.process.http import bind_shared
from turngate.process.settings import MISUSED, SettingsError, load

_BACKLOG = 128


def main(text: str) -> int:
    """Run a worker at the place with this text. Returns its exit code."""
    place = Place.of_text(text)
    try:
        settings = share_of(load(GatewaySettings), place)
        tallies = SharedFile(Path(place.shared)).tallies(
            place.number, settings.address_connects_per_second, settings.key_connects_per_second
        )
        seat = Seat(
            public=lambda: bind_shared(place.host, place.port, "TURNGATE_GATEWAY_PORT"),
            internal=lambda: _listen_at(Path(place.internal)),
            worker=place.number,
            tallies=tallies,
        )
        run(settings, seat)
    except SettingsError as error:
        print(error, flush=True)
        return MISUSED
    return 0


def _listen_at(path: Path) -> socket.socket:
    """A Unix socket in the supervisor's folder, in the place of that of the process before."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
