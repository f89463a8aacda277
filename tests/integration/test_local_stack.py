"""`turngate run` from the command line, with real processes."""

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
from turngate.local.health import check
from turngate.local.ports import free_port, is_free
from turngate.local.stack import Stack, translators_for
from turngate.process.cores import usable_cores

#: Timeout of every wait in these tests.
#: Those that `turngate run` starts here.
TRANSLATORS = translators_for(usable_cores())
PATIENCE_SECONDS = 60

# These tests look at processes and at how they end, as only Linux shows it; turngate itself runs elsewhere too.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and PR_SET_PDEATHSIG")


class Run:
    """A `turngate run` process with its output and child processes."""

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
        """Read output until a line contains ``part``; returns that line."""
        output: IO[bytes] | None = self._process.stdout
        assert output is not None
        for raw in iter(output.readline, b""):
            line = raw.decode().rstrip()
            self.lines.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never printed, but:\n" + "\n".join(self.lines))

    def end(self) -> tuple[int, str]:
        """Wait for the process; returns its exit code and its whole output."""
        rest, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        self.lines += rest.decode().splitlines()
        return self._process.returncode, "\n".join(self.lines)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Send SIGINT to the whole process group, as a terminal does."""
        os.killpg(self.pid, signal.SIGINT)

    def children(self) -> dict[int, int]:
        """A pidfd for every child process, by process id. The caller closes them."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {pid: os.pidfd_open(pid) for pid in map(int, listed)}

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def running(folder: Path, **env: str) -> Iterator[Run]:
    ports = {kind: free_port() for kind in ("GATEWAY", "GATEWAY_INTERNAL", "SESSION_STATE", "SIMULATOR")}
    run = Run(folder, ports, **env)
    try:
        yield run
    finally:
        run.close()


def all_ended(pidfds: dict[int, int]) -> bool:
    """Wait until all of these processes have ended; False after a timeout. Closes the descriptors."""
    waiting = set(pidfds.values())
    while waiting and (ended := select.select(waiting, [], [], PATIENCE_SECONDS)[0]):
        waiting -= set(ended)
    for pidfd in pidfds.values():
        os.close(pidfd)
    return not waiting


def test_it_becomes_ready_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("logs ")
        said = "\n".join(run.lines)
        names = [f"translator-{number + 1}" for number in range(TRANSLATORS)]
        for name in ("broker", "simulator", "session-state-1", "gateway-1", *names):
            assert f"{name:16}ready at 127.0.0.1:" in said
        assert f"ws://127.0.0.1:{run.ports['GATEWAY']}/v1/agent/converse" in said
        assert f"ws://127.0.0.1:{run.ports['GATEWAY']}/openai" in said
        assert f"console   http://127.0.0.1:{run.ports['SESSION_STATE']}/ " in said
        assert "no OPENAI_API_KEY: replies come from the simulator" in said
        assert f"chat --url ws://127.0.0.1:{run.ports['GATEWAY']}" in said
        for kind, path in (("GATEWAY", "health"), ("GATEWAY_INTERNAL", "ready"), ("SESSION_STATE", "ready")):
            assert check(f"http://127.0.0.1:{run.ports[kind]}/{path}") is None
        children = run.children()
        assert len(children) == 4 + TRANSLATORS
        run.press_ctrl_c()
        code, said = run.end()
        assert all_ended(children)
    assert code == 0
    assert said.endswith("stopping; Ctrl-C again: at once\nstopped"), "no child may have received the signal"
    assert (tmp_path / "out/logs/gateway-1.log").exists()


def test_no_process_is_orphaned_when_it_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("logs ")
        children = run.children()
        run.send(signal.SIGKILL)
        assert all_ended(children)


def test_a_signal_during_startup_stops_it(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.until("broker")
        children = run.children()
        run.send(signal.SIGTERM)
        assert run.end()[0] == 0
        assert all_ended(children)


def test_a_service_that_dies_is_restarted_and_reported(tmp_path: Path) -> None:
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


def test_an_unreachable_broker_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
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


def test_a_configured_broker_is_used(tmp_path: Path) -> None:
    broker: EmbeddedBroker
    with start_broker() as broker, running(tmp_path, TURNGATE_REDIS_URL=broker.url) as run:
        run.until("logs ")
        assert not any(line.startswith("broker") for line in run.lines)
        assert len(children := run.children()) == 3 + TRANSLATORS
        run.send(signal.SIGTERM)
        assert run.end()[0] == 0
        assert all_ended(children)


async def test_a_stack_can_have_any_number_of_processes(broker_url: str) -> None:
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
            assert check(f"{url}/health") is None
        ports = [int(url.rsplit(":", 1)[1]) for url in (*stack.gateway_urls, *stack.translator_urls)]
    assert all(is_free(port) for port in ports)
