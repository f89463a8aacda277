"""The startup part: the time from the command to a ready gateway, and the size of the image."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import relay
from benchmarks.load.session import clock
from benchmarks.machine import Cores
from benchmarks.percentiles import median
from turngate.local.health import check
from turngate.local.ports import free_port

_PATIENCE = 60.0
_POLL = 0.02
_BUILD_SECONDS = 240
#: A separate image name, so that removing it does not affect other images with the same layers.
_IMAGE = "turngate:benchmark"
#: Variables that are not inherited, because this run sets them.
_NOT_INHERITED = ("OPENAI_API_KEY", "TURNGATE_OPENAI_API_KEY", "TURNGATE_UPSTREAM_URL", "TURNGATE_REDIS_URL")


@dataclass(frozen=True)
class StartUp:
    """The startup times in seconds, by round."""

    turngate: list[float]
    relay: list[float]


async def run(cores: Cores, rounds: int, say: Callable[[str], None]) -> StartUp:
    """Start ``turngate run``, which may use every core, and baseline A, ``rounds`` times each."""
    found = StartUp([], [])
    for _ in range(rounds):
        began = clock()
        async with relay("ws://127.0.0.1:9", cores):
            found.relay.append(clock() - began)
        found.turngate.append(await _turngate_run(cores))
    say(
        f"`turngate run` is ready after {median(found.turngate):.2f} s (median of {rounds}), "
        f"relay (A) after {median(found.relay):.2f} s"
    )
    return found


async def _turngate_run(cores: Cores) -> float:
    kinds = ("GATEWAY", "GATEWAY_INTERNAL", "SESSION_STATE", "SIMULATOR")
    ports = {f"TURNGATE_{kind}_PORT": str(free_port()) for kind in kinds}
    env = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED} | ports
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.test | cores.load)
    began = clock()
    with tempfile.TemporaryDirectory() as folder:
        env["PYTHONPATH"] = os.pathsep.join([os.getcwd(), env.get("PYTHONPATH", "")])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turngate.cli.app", "run"), env=env, cwd=folder, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await _until_ready(process, f"http://127.0.0.1:{ports['TURNGATE_GATEWAY_INTERNAL_PORT']}/ready")
            return clock() - began
        finally:
            os.sched_setaffinity(0, mine)
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), _PATIENCE)


async def _until_ready(process: asyncio.subprocess.Process, url: str) -> None:
    deadline = clock() + _PATIENCE
    while (problem := await asyncio.to_thread(check, url)) is not None:
        if process.returncode is not None or clock() > deadline:
            raise TimeoutError(f"`turngate run` was not ready: {problem}")
        await asyncio.sleep(_POLL)


def image_size() -> str:
    """Build the image and return its size, or the reason why it was not measured."""
    if not Path("infra/docker/Dockerfile").exists():
        return "not measured: no Dockerfile here"
    try:
        _docker("version", "--format", "{{.Server.Version}}", seconds=10)
        _docker("build", "-q", "-t", _IMAGE, "-f", "infra/docker/Dockerfile", ".", seconds=_BUILD_SECONDS)
        size = int(_docker("image", "inspect", _IMAGE, "--format", "{{.Size}}", seconds=10))
        _docker("image", "rm", _IMAGE, seconds=30)
        return f"{size / 1e6:.0f} MB"
    except FileNotFoundError:
        return "not measured: there is no docker command here"
    except subprocess.TimeoutExpired as error:
        return f"not measured: `docker {error.cmd[1]}` took longer than {error.timeout:.0f} s"
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or "no reason given").splitlines()[-1]
        return f"not measured: `docker {error.cmd[1]}` failed: {reason}"


def _docker(*words: str, seconds: float) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=seconds)
    return done.stdout.strip()
