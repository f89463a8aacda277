"""Every background task of every service, killed in a real process: it says which and why, and exits with a code."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from pydantic import RedisDsn
from starlette.testclient import TestClient

from session_state.app import wire
from session_state.config import SessionStateSettings
from turngate.bus.bus import Bus
from turngate.local import health
from turngate.local.ports import free_port
from turngate.process.service import service_application
from turngate.process.supervisor import TASK_ENDED, Supervisor

KILLABLE = Path(__file__).parents[1] / "killable"
PATIENCE_SECONDS = 30
TASKS = {
    "gateway": ("consumer watch", "probe", "publisher", "stall watcher", "journal writer", "http"),
    "translator": ("consumer watch", "reclaimer", "stream limits", "http"),
    "session-state": ("consumer watch", "reclaimer", "sweeper", "stream limits", "watch", "http"),
}


@asynccontextmanager
async def running(service: str, task: str, redis_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service in a process of its own, ready; SIGUSR1 kills the task."""
    port = free_port()
    # A gateway has a port of its own for this, and is ready only when all services are.
    page = "health" if service == "gateway" else "ready"
    variable = "GATEWAY_INTERNAL" if service == "gateway" else service.upper().replace("-", "_")
    env = {
        **os.environ,
        "PYTHONPATH": str(KILLABLE),
        "KILL_TASK": task,
        "TURNGATE_REDIS_URL": redis_url,
        "TURNGATE_GATEWAY_PORT": "0",
        "TURNGATE_DRAIN_GRACE_MS": "0",
        f"TURNGATE_{variable}_PORT": str(port),
    }
    command = (sys.executable, "-m", "turngate.cli.app", service)
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asyncio.to_thread(health.check, f"http://127.0.0.1:{port}/{page}"):
                assert process.returncode is None
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(("service", "task"), [(service, task) for service, tasks in TASKS.items() for task in tasks])
async def test_a_service_whose_task_ends_says_which_and_exits_with_a_code(
    broker_url: str, service: str, task: str
) -> None:
    async with running(service, task, broker_url) as process:
        process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, output = await process.communicate()
        assert process.returncode == TASK_ENDED
        lines = [orjson.loads(line) for line in output.splitlines() if line.startswith(b"{")]
        (ended,) = [line for line in lines if line["event"] == "task_ended"]
        assert (ended["task"], ended["error"]) == (task, "RuntimeError: killed by a test")
        assert lines[-2]["event"] == "stopped", "it has stopped in order"
        assert lines[-1]["event"] == "exiting"


@pytest.mark.parametrize("service", TASKS)
async def test_a_service_that_is_asked_to_stop_exits_normally(broker_url: str, service: str) -> None:
    async with running(service, "", broker_url) as process:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, output = await process.communicate()
        assert (process.returncode, b"task_ended" in output) == (0, False)
        # A line of the log may follow without a newline: it is written by another thread.
        supervised = set(re.findall(r"supervised: ([a-z ]+)", output.decode()))
        assert supervised == set(TASKS[service]), "each is killed in the test above"


async def test_health_and_readiness_fail_as_soon_as_a_task_has_ended(broker_url: str) -> None:
    settings = SessionStateSettings(redis_url=RedisDsn(broker_url))
    service = wire(settings, Bus.connect(settings))
    supervisor = Supervisor()
    await service.bus.start()
    client = TestClient(service_application(service, supervisor))

    async def raises() -> None:
        raise ValueError

    assert [client.get(page).status_code for page in ("/health",)] == [200]
    supervisor.start("sweeper", raises)
    await supervisor.wait()
    assert [client.get(page).status_code for page in ("/health", "/ready")] == [503, 503]
    await supervisor.end()
    await service.bus.stop()
    await service.bus.close()
