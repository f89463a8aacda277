"""What `turngate run` does when somebody wants to see what a conversation survives."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from session_state.console_faults import Faults
from turngate.local import faults as faults_module
from turngate.local.faults import FaultsSocket, private_folder


class Process:
    """A process that is running, or not."""

    def __init__(self, pid: int | None = 1) -> None:
        self.pid = pid
        self.kills = 0

    def kill_on_request(self) -> None:
        self.kills += 1


@pytest.fixture
def processes() -> dict[str, Process]:
    return {"translator-1": Process(pid=None), "translator-2": Process(), "gateway-1": Process(), "broker": Process()}


@pytest_asyncio.fixture
async def path(processes: dict[str, Process]) -> AsyncIterator[Path]:
    with private_folder() as folder:
        socket = FaultsSocket(processes, "http://simulator")
        await socket.serve(Path(folder) / "faults")
        yield Path(folder) / "faults"
        await socket.close()


async def test_a_running_process_of_the_kind_is_killed(path: Path, processes: dict[str, Process]) -> None:
    faults = Faults(path)
    assert await faults.parts() == ["upstream", "translator", "gateway"]
    assert await faults.cut("translator") == {"done": "translator-2 is killed, and started again."}
    assert {name: process.kills for name, process in processes.items()} == {
        "translator-1": 0,
        "translator-2": 1,
        "gateway-1": 0,
        "broker": 0,
    }
    processes["gateway-1"].pid = None
    assert await faults.cut("gateway") == {"error": "no gateway is running at the moment"}


@pytest.mark.parametrize("part", ["broker", "parts-1", "", "session-state"])
async def test_nothing_else_is_killed(path: Path, processes: dict[str, Process], part: str) -> None:
    assert "error" in await Faults(path).cut(part)
    assert not any(process.kills for process in processes.values())


async def test_the_simulator_is_asked_to_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(faults_module, "check", asked.append)
    assert await Faults(path).cut("upstream") == {"done": "The connections to the model are cut."}
    assert asked == ["http://simulator/cut"]
    monkeypatch.setattr(faults_module, "check", lambda _: "does not answer")
    assert await Faults(path).cut("upstream") == {"error": "does not answer"}


async def test_another_upstream_cannot_be_cut() -> None:
    assert await FaultsSocket({}, None).answer("parts") == {"parts": ["translator", "gateway"]}
    assert "error" in await FaultsSocket({}, None).answer("upstream")


async def test_what_is_not_a_request_gets_no_answer(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"kill everything\n")
    assert await reader.read() == b""
    writer.close()
    assert await Faults(path).parts(), "and the others do"


async def test_only_this_user_can_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
