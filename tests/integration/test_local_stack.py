"""`turngate run`, as a person meets it: from the command line, with real processes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from turngate.local.broker import EmbeddedBroker, start_broker
from turngate.local.health import complaint
from turngate.local.ports import free_port, is_free
from turngate.local.stack import Stack

#: How long anything may take before a test gives up; nothing here measures time.
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and needs the kernel's leash")


class Run:
    """One `turngate run`, its output as it comes, and the processes it started."""

    def __init__(self, folder: Path, ports: dict[str, int], **env: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TURNGATE_", "OPENAI_"))}
        self.ports = ports
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "turngate.cli.app", "run"],
            cwd=folder,
            env={
                **clean,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PYTHONUNBUFFERED": "1",
                **{f"TURNGATE_{kind}_PORT": str(port) for kind, port in ports.items()},
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, part: str) -> str:
        """Read on to the line that contains ``part``."""
        output: IO[bytes] | None = self._process.stdout
        assert output is not None
        for raw in iter(output.readline, b""):
            line = raw.decode().rstrip()
            self.lines.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never printed, but:\n" + "\n".join(self.lines))

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns the exit code and everything printed."""
        rest, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        self.lines += rest.decode().splitlines()
        return self._process.returncode, "\n".join(self.lines)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """As a terminal does: SIGINT for the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def children(self) -> dict[int, int]:
        """A pidfd for every child process, by process id; close them."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {pid: os.pidfd_open(pid) for pid in map(int, listed)}

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def running(folder: Path, **env: str) -> Iterator[Run]:
    ports = {"GATEWAY": free_port(), "SESSION_STATE": free_port(), "SIMULATOR": free_port()}
    run = Run(folder, ports, **env)
    try:
        yield run
    finally:
        run.close()


def all_ended(pidfds: dict[int, int]) -> bool:
    """True when every one of these processes has ended, at the latest after some patience; closes the descriptors."""
    waiting = set(pidfds.values())
    while waiting and (ended := select.select(waiting, [], [], PATIENCE_SECONDS)[0]):
        waiting -= set(ended)
    for pidfd in pidfds.values():
        os.close(pidfd)
    return not waiting


def test_everything_gets_ready_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("logs ")
        said = "\n".join(run.lines)
        for name in ("broker", "simulator", "session-state-1", "translator-1", "translator-2", "gateway-1"):
            assert f"{name:16}ready at 127.0.0.1:" in said
        assert f"ws://127.0.0.1:{run.ports['GATEWAY']}/v1/agent/converse" in said
        assert f"ws://127.0.0.1:{run.ports['GATEWAY']}/openai" in said
        assert "no OPENAI_API_KEY: replies come from the simulator" in said
        assert f"chat --url ws://127.0.0.1:{run.ports['GATEWAY']}" in said
        for kind, path in (("GATEWAY", "ready"), ("SESSION_STATE", "ready"), ("SIMULATOR", "health")):
            assert complaint(f"http://127.0.0.1:{run.ports[kind]}/{path}") is None
        children = run.children()
        assert len(children) == 6
        run.press_ctrl_c()
        code, said = run.end()
        assert all_ended(children)
    assert code == 0
    assert said.endswith("stopping; Ctrl-C again: at once\nstopped"), "no child may have heard the signal itself"
    assert (tmp_path / "out/logs/gateway-1.log").exists()


def test_nothing_is_orphaned_when_it_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("logs ")
        children = run.children()
        run.send(signal.SIGKILL)
        assert all_ended(children)


def test_a_signal_while_it_starts_stops_it_too(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("broker")
        children = run.children()
        run.send(signal.SIGTERM)
        assert run.end()[0] == 0
        assert all_ended(children)


def test_a_service_that_dies_is_started_again_and_said_so(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("logs ")
        victim = next(
            pid
            for pid in map(int, Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split())
            if is_translator(pid)
        )
        os.kill(victim, signal.SIGKILL)
        assert "translator" in run.until("stopped (killed by SIGKILL); starting it again")
        assert "translator" in run.until("ready again")
        run.send(signal.SIGTERM)
        assert run.end()[0] == 0


def is_translator(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"\0translator\0")


@pytest.mark.parametrize("kind", ["GATEWAY", "SESSION_STATE", "SIMULATOR"])
def test_a_port_in_use_is_one_line_that_names_the_setting(tmp_path: Path, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, **{f"TURNGATE_{kind}_PORT": str(port)}) as run:
            code, said = run.end()
    assert code == 1
    assert said.startswith(f"turngate: TURNGATE_{kind}_PORT: port {port} on 127.0.0.1 is in use")
    assert len(said.splitlines()) == 1


def test_a_broker_that_is_named_and_dead_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, TURNGATE_REDIS_URL=f"redis://:a-password@127.0.0.1:{port}/0") as run:
        code, said = run.end()
    assert code == 1
    assert said.startswith(f"turngate: TURNGATE_REDIS_URL: no Redis server answers at 127.0.0.1:{port}")
    assert len(said.splitlines()) == 1
    assert "a-password" not in said


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with running(tmp_path, TURNGATE_RELEASE_LEASE_MS="soon") as run:
        code, said = run.end()
    assert code == 2
    assert said.startswith("turngate: TURNGATE_RELEASE_LEASE_MS: ")
    assert len(said.splitlines()) == 1


def test_a_broker_that_is_named_is_used(tmp_path: Path) -> None:
    broker: EmbeddedBroker
    with start_broker() as broker, running(tmp_path, TURNGATE_REDIS_URL=broker.url) as run:
        run.until("logs ")
        assert not any(line.startswith("broker") for line in run.lines)
        assert len(children := run.children()) == 5
        run.send(signal.SIGTERM)
        assert run.end()[0] == 0
        assert all_ended(children)


async def test_a_stack_for_tests_has_any_number_of_everything(broker_url: str) -> None:
    async with Stack(translators=3, gateways=2, session_states=2, redis_url=broker_url, pace=0.0) as stack:
        assert sorted(stack.processes) == [
            "gateway-1",
            "gateway-2",
            "session-state-1",
            "session-state-2",
            "simulator",
            "translator-1",
            "translator-2",
            "translator-3",
        ]
        assert len(set(stack.gateway_urls)) == 2
        for url in (stack.session_state_url, stack.simulator_url, *stack.translator_urls):
            assert complaint(f"{url}/health") is None
        ports = [int(url.rsplit(":", 1)[1]) for url in (*stack.gateway_urls, *stack.translator_urls)]
    assert all(is_free(port) for port in ports)
