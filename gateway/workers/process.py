"""One worker as its supervisor sees it: started, restarted when it dies, and asked to leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from gateway.workers import log_events, metrics
from gateway.workers.link import Answer, ask
from gateway.workers.place import Place
from turngate.process.parent_death import dies_with_parent
from turngate.process.settings import MISUSED

COMMAND = (sys.executable, "-m", "gateway.workers.worker")
#: Seconds before each restart after an unexpected exit. After the last one the worker is given up.
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
#: The backoff starts again for a worker that has run for this many seconds.
_STEADY_SECONDS = 30.0
_START_SECONDS = 60.0
_POLL_SECONDS = 0.03
#: A worker that gives no answer to so many questions, each within this time, is stuck.
_LOOKS = 3
_LOOK_SECONDS = 4.0
_BETWEEN_LOOKS = 1.0


class State(StrEnum):
    STARTING = "starting"
    SERVING = "serving"
    #: It was asked to stop, or to accept no more clients.
    LEAVING = "leaving"
    #: It has ended, and is started again after a pause unless it was leaving.
    DOWN = "down"


class WorkerNotStartedError(Exception):
    """A worker could not be started. The text is one line for the operator."""

    def __init__(self, worker: int, text: str, *, misused: bool = False) -> None:
        """``misused``: a setting is wrong, and it would be for every worker."""
        super().__init__(text)
        self.worker = worker
        self.misused = misused


class WorkerGivenUpError(Exception):
    """A worker has died too often."""


class Worker:
    """A process that is kept running from `start` until `leave`; `keep` does that."""

    def __init__(self, place: Place, ended: Callable[[int], None], command: Sequence[str] = COMMAND) -> None:
        """``ended`` is called with its number whenever its process has ended. The place is the last argument of the
        ``command``."""
        self.place = place
        self._ended = ended
        self._command = command
        self.state = State.DOWN
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._leaving = asyncio.Event()

    @property
    def number(self) -> int:
        return self.place.number

    @property
    def pid(self) -> int | None:
        """The process id, or None if it is not running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def ask(self, target: str, timeout: float | None) -> Answer:
        """Its answer to a GET request. Raises OSError if there is none."""
        return await ask(self.place.internal, target, timeout)

    async def start(self) -> None:
        """Start the process; returns when it serves clients. Raises `WorkerNotStartedError`, and nothing runs then."""
        began = time.monotonic()
        self.state = State.STARTING
        self._forget_socket()
        self._process = await asyncio.create_subprocess_exec(
            *dies_with_parent((*self._command, self.place.to_text())),
            stdin=asyncio.subprocess.DEVNULL,
            # It says there why it cannot start.
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C sends SIGINT to the terminal's process group. The supervisor alone gets it, and passes it on.
            start_new_session=True,
        )
        try:
            await self._until_serving(self._process, began + _START_SECONDS)
        except BaseException:
            self.kill()
            await self._process.wait()
            self._ended(self.number)
            self.state = State.DOWN
            raise
        if not self._leaving.is_set():
            self.state = State.SERVING
        log_events.worker_started(worker=self.number, pid=self._process.pid, seconds=round(time.monotonic() - began, 3))

    async def keep(self) -> None:
        """Start the process again when it dies; returns when it has left. Raises `WorkerGivenUpError`."""
        failures = 0
        while (process := self._process) is not None:
            began = time.monotonic()
            watching = asyncio.create_task(self._watch())
            try:
                await process.wait()
            finally:
                watching.cancel()
            self._ended(self.number)
            self.state = State.DOWN
            if self._leaving.is_set():
                log_events.worker_left(worker=self.number, pid=process.pid)
                return
            if time.monotonic() - began > _STEADY_SECONDS:
                failures = 0
            if failures == len(_BACKOFF):
                log_events.worker_given_up(worker=self.number, restarts=self.restarts)
                raise WorkerGivenUpError(f"worker {self.number} keeps dying ({_exit(process)})")
            pause = _BACKOFF[failures]
            log_events.worker_died(worker=self.number, pid=process.pid, how=_exit(process), pause=pause)
            failures += 1
            if await self._leaves_within(pause):
                return
            self.restarts += 1
            metrics.RESTARTS.inc()
            try:
                await self.start()
            except WorkerNotStartedError as error:
                if self._leaving.is_set():
                    return
                log_events.worker_not_started(worker=self.number, reason=str(error))

    def leave(self, number: signal.Signals | None) -> None:
        """The process is to end, and is not started again. Sends it a signal; None: it ends for another reason."""
        self._leaving.set()
        if self.state is not State.DOWN:
            self.state = State.LEAVING
        if number is not None:
            self._signal(number)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _forget_socket(self) -> None:
        """Remove that of the process before."""
        Path(self.place.internal).unlink(missing_ok=True)

    async def _until_serving(self, process: asyncio.subprocess.Process, deadline: float) -> None:
        assert process.stdout is not None
        while not await self._serves():
            if process.returncode is not None:
                said = (await process.stdout.read()).decode(errors="replace").strip()
                reason = said.splitlines()[-1] if said else f"it stopped while starting ({_exit(process)})"
                raise WorkerNotStartedError(self.number, reason, misused=process.returncode == MISUSED)
            if time.monotonic() > deadline:
                raise WorkerNotStartedError(self.number, f"it did not serve clients within {_START_SECONDS:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def _serves(self) -> bool:
        try:
            return (await self.ask("/health", _LOOK_SECONDS)).ok
        except OSError:
            return False

    async def _watch(self) -> None:
        """Kill the process when it gives no answer any more, until cancelled. One that answers that it is not well ends
        by itself."""
        missed = 0
        while missed < _LOOKS:
            await asyncio.sleep(_BETWEEN_LOOKS)
            try:
                await self.ask("/health", _LOOK_SECONDS)
                missed = 0
            except OSError:
                missed += 1
        if (pid := self.pid) is not None:
            log_events.worker_stuck(worker=self.number, pid=pid, seconds=_LOOKS * (_LOOK_SECONDS + _BETWEEN_LOOKS))
            self.kill()

    async def _leaves_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        return self._leaving.is_set()

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _exit(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
