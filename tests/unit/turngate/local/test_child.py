"""The life cycle of a child process, with a fake service."""

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
from turngate.local.layout import answers
from turngate.local.ports import free_port, is_free
from turngate.process.parent_death import dies_with_parent

FAKE_SERVICE = str(Path(__file__).with_name("fake_service.py"))


class Reports:
    """Collects reports, and can wait for one."""

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
    command = (sys.executable, FAKE_SERVICE, str(port), mode)
    return Child(
        Program("service", command, answers(address, "/ready"), address, env=env or {}), reports, log_folder=folder
    )


async def test_it_is_ready_after_start_and_gone_after_stop(tmp_path: Path) -> None:
    reports = Reports()
    child = make("good", reports, folder=tmp_path)
    await child.start()
    assert child.pid is not None
    assert await child.program.check() is None
    await child.stop()
    assert child.pid is None
    assert await child.program.check() is not None
    assert reports.lines == ["service: warning: a thing to know limit=3"]
    assert "a noisy detail" in (tmp_path / "service.log").read_text()


async def test_an_early_exit_is_reported_with_the_last_line() -> None:
    child = make("fails", Reports())
    with pytest.raises(ChildError, match=r"service stopped while starting \(exit 1\): TURNGATE_FAKE_SERVICE: told"):
        await child.start()
    await child.stop()


async def test_a_child_that_does_not_become_ready_is_killed_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_READY_SECONDS", 0.5)
    child = make("unready", Reports())
    with pytest.raises(ChildError, match=r"not ready within .*503: consumers are not running"):
        await child.start()
    assert child.pid is None
    await child.stop()


async def test_a_child_that_dies_is_restarted() -> None:
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


async def test_a_child_that_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGUSR1])
async def test_a_child_that_is_killed_on_request_is_never_given_up(
    monkeypatch: pytest.MonkeyPatch, by: signal.Signals
) -> None:
    monkeypatch.setattr(child_module, "_BACKOFF", (0.0,))
    reports = Reports()
    child = make("good", reports)
    await child.start()
    for _ in range(3):
        reports.lines.clear()
        child.kill_on_request(by)
        await reports.until("ready again")
    assert (child.restarts, child.given_up.is_set()) == (3, False)
    await child.stop()


async def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_STOP_SECONDS", 0.2)
    reports = Reports()
    child = make("stubborn", reports)
    await child.start()
    await child.stop()
    assert child.pid is None
    assert "service: did not stop within 0.2 s and was killed" in reports.lines


async def test_a_paused_child_can_be_stopped() -> None:
    reports = Reports()
    child = make("good", reports)
    await child.start()
    child.pause()
    await child.stop()
    assert not any("killed" in line for line in reports.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")
def test_children_are_killed_with_their_parent() -> None:
    port = free_port()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "from turngate.local.health import check\n"
            "from turngate.process.parent_death import dies_with_parent\n"
            f"child = subprocess.Popen(dies_with_parent([sys.executable, {FAKE_SERVICE!r}, '{port}', 'stubborn']))\n"
            f"while check('http://127.0.0.1:{port}/ready'): pass\n"
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


def test_a_child_does_not_start_if_its_parent_has_ended(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = dies_with_parent(["touch", str(touched)])
    nobody = "0"
    assert command[4] == str(os.getpid())
    assert subprocess.run([*command[:4], nobody, *command[5:]], stderr=subprocess.DEVNULL).returncode == 1
    assert not touched.exists()


def test_children_must_be_started_from_the_main_thread() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(dies_with_parent, ["true"]).result()
