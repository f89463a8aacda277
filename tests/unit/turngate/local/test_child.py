"""A child process from its start to its end, with a stand-in for the service."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from turngate.local import child as child_module
from turngate.local.child import Child, ChildError, Program
from turngate.local.leash import leashed
from turngate.local.plan import answers
from turngate.local.ports import free_port, is_free

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


class Reports:
    """What was reported, and a way to wait for a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = asyncio.Condition()

    def __call__(self, name: str, text: str) -> None:
        self.lines.append(f"{name}: {text}")
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, part: str) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: any(part in line for line in self.lines))


def make(mode: str, reports: Reports, *, env: dict[str, str] | None = None, folder: Path | None = None) -> Child:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = (sys.executable, STAND_IN, str(port), mode)
    return Child(
        Program("service", command, answers(address, "/ready"), address, env or {}), reports, log_folder=folder
    )


async def test_it_is_ready_when_start_returns_and_gone_when_stop_returns(tmp_path: Path) -> None:
    reports = Reports()
    child = make("good", reports, folder=tmp_path)
    await child.start()
    assert child.pid is not None
    assert await child.program.complaint() is None
    await child.stop()
    assert child.pid is None
    assert await child.program.complaint() is not None
    assert reports.lines == ["service: warning: a thing to know limit=3"]
    assert "a noisy detail" in (tmp_path / "service.log").read_text()


async def test_an_early_end_is_told_with_its_last_words() -> None:
    child = make("fails", Reports())
    with pytest.raises(ChildError, match=r"service stopped while starting \(exit 1\): TURNGATE_STAND_IN: it is told"):
        await child.start()
    await child.stop()


async def test_one_that_never_gets_ready_is_killed_and_its_complaint_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_READY_SECONDS", 0.5)
    child = make("unready", Reports())
    with pytest.raises(ChildError, match=r"not ready within .*503: consumers are not running"):
        await child.start()
    assert child.pid is None
    await child.stop()


async def test_one_that_dies_is_started_again() -> None:
    reports = Reports()
    child = make("good", reports)
    await child.start()
    first = child.pid
    child.kill()
    await reports.until("ready again")
    assert child.pid not in (first, None)
    assert "service: stopped (killed by SIGKILL); starting it again in 0.2 s" in reports.lines
    assert child.restarts == 1
    await child.stop()


async def test_one_that_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_BACKOFF", (0.0, 0.0))
    flag = tmp_path / "flag"
    reports = Reports()
    child = make("dies-again", reports, env={"TURNGATE_TEST_FLAG": str(flag)})
    await child.start()
    flag.touch()
    child.kill()
    async with asyncio.timeout(20):
        await child.given_up.wait()
    assert child.restarts == 2
    assert "stopped (exit 3); it is not started again" in reports.lines[-1]
    await child.stop()


async def test_one_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_STOP_SECONDS", 0.2)
    reports = Reports()
    child = make("stubborn", reports)
    await child.start()
    await child.stop()
    assert child.pid is None
    assert "service: did not stop within 0.2 s and was killed" in reports.lines


async def test_a_frozen_one_stops_in_order() -> None:
    reports = Reports()
    child = make("good", reports)
    await child.start()
    child.pause()
    await child.stop()
    assert not any("killed" in line for line in reports.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's leash is Linux only")
def test_children_die_with_a_parent_that_is_killed() -> None:
    port = free_port()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "from turngate.local.health import complaint\n"
            "from turngate.local.leash import leashed\n"
            f"child = subprocess.Popen(leashed([sys.executable, {STAND_IN!r}, '{port}', 'stubborn']))\n"
            f"while complaint('http://127.0.0.1:{port}/ready'): pass\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        pidfd = os.pidfd_open(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert select.select([pidfd], [], [], 20)[0], "the child outlived its parent"
    os.close(pidfd)
    assert is_free(port)


def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = leashed(["touch", str(touched)])
    nobody = "0"
    assert command[4] == str(os.getpid())
    assert subprocess.run([*command[:4], nobody, *command[5:]], stderr=subprocess.DEVNULL).returncode == 1
    assert not touched.exists()


def test_a_thread_may_not_hold_a_leash() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(leashed, ["true"]).result()
