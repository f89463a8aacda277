"""A child process: starts it, waits until it is ready, restarts it when it dies, and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from turngate.local.environment import for_child
from turngate.local.logs import LogFile, terminal_line
from turngate.process.parent_death import dies_with_parent

#: Seconds to wait before each restart after an unexpected exit. After the last one the child is given up.
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
#: The backoff starts again for a child that has run for this many seconds.
_STEADY_SECONDS = 30.0
_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.03

#: Called with a child's name and a line about it.
Report = Callable[[str, str], None]


class ChildError(Exception):
    """A child did not become ready. The text is one line that includes the last line of its output."""


@dataclass(frozen=True)
class Program:
    """A program to run, and how to check that it is ready."""

    name: str
    command: tuple[str, ...]
    #: Returns None if the program is ready, or else the reason why not. Called repeatedly until it is ready.
    check: Callable[[], Awaitable[str | None]]
    #: Shown next to the name, such as ``127.0.0.1:8080``.
    address: str = ""
    #: Where its probes and metrics are, if not at `address`.
    internal_address: str = ""
    #: Added to the environment of this process; the child gets the part that its kind needs.
    env: Mapping[str, str] = field(default_factory=dict)
    #: Determines which variables it gets: a service's name, or ``broker``; any other program gets no secrets.
    kind: str = ""
    #: False for programs with another log format, whose output is only written to the file.
    shows_warnings: bool = True


class Child:
    """A program that is kept running. Call `start`, and `stop` when done."""

    def __init__(
        self, program: Program, report: Report, *, log_folder: Path | None = None, restarts: bool = True
    ) -> None:
        self.program = program
        #: Set when the child has died too often and is not restarted; already reported.
        self.given_up = asyncio.Event()
        #: Number of restarts.
        self.restarts = 0
        self._on_request = False
        self._report = report
        self._may_restart = restarts
        self._log = LogFile(program.name, log_folder)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The process id, or None if it is not running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> float:
        """Start the program; returns the seconds until it was ready. Raises `ChildError`, and then nothing runs."""
        took = await self._launch()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.name}")
        return took

    async def stop(self) -> None:
        """Stop the program with SIGTERM, and with SIGKILL after a timeout. No effect if it is not running."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        await self._end(_STOP_SECONDS)
        self._log.close()

    def kill(self) -> None:
        """Kill the program with SIGKILL, as in a crash. It is restarted unless restarts are off."""
        self._signal(signal.SIGKILL)

    def kill_on_request(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End the program with a signal because a person or a test wants to see what happens: that is no failure of it,
        so it is started again however often."""
        self._on_request = True
        self._signal(by)

    def kill_permanently(self) -> None:
        """Kill the program with SIGKILL and do not restart it; a later `stop` returns immediately."""
        if self._watcher is not None:
            self._watcher.cancel()
        self.kill()

    def pause(self) -> None:
        """Stop the process with SIGSTOP: its connections stay open, and it does nothing until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def _launch(self) -> float:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *dies_with_parent(self.program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=for_child(self.program.kind, {**os.environ, **self.program.env}) | {"PYTHONUNBUFFERED": "1"},
            # Ctrl-C sends SIGINT to the terminal's process group. Only the parent should get it and stop the children.
            start_new_session=True,
        )
        assert process.stdout is not None
        self._process = process
        self._reader = asyncio.create_task(self._read(process.stdout), name=f"logs {self.name}")
        try:
            await self._until_ready(process, began + _READY_SECONDS)
        except BaseException:
            self._signal(signal.SIGKILL)
            await self._end(_STOP_SECONDS)
            raise
        return time.monotonic() - began

    async def _until_ready(self, process: asyncio.subprocess.Process, deadline: float) -> None:
        while (check := await self.program.check()) is not None:
            if process.returncode is not None:
                await self._end(_STOP_SECONDS)
                raise ChildError(f"{self.name} stopped while starting ({_exit(process)}): {self._log.last_line()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} was not ready within {_READY_SECONDS:.0f} s: {check}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _watch(self) -> None:
        failures = 0
        while self._process is not None:
            began = time.monotonic()
            await self._process.wait()
            if self._on_request or time.monotonic() - began > _STEADY_SECONDS:
                failures = 0
            self._on_request = False
            how = f"stopped ({_exit(self._process)})"
            if not self._may_restart or failures == len(_BACKOFF):
                self._report(self.name, f"{how}; it is not started again: {self._log.last_line()}")
                self.given_up.set()
                return
            self._report(self.name, f"{how}; starting it again in {_BACKOFF[failures]:g} s")
            await asyncio.sleep(_BACKOFF[failures])
            failures += 1
            self.restarts += 1
            try:
                took = await self._launch()
            except ChildError as error:
                self._report(self.name, str(error))
            else:
                self._report(self.name, f"ready again after {took:.1f} s")

    async def _read(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = (await output.readline()).decode(errors="replace")
            except ValueError:
                line = "(a line of more than 64 KiB is omitted)\n"
            if not line:
                return
            self._log.write(line.rstrip("\n"))
            if self.program.shows_warnings and (text := terminal_line(line.rstrip())):
                self._report(self.name, text)

    async def _end(self, grace: float) -> None:
        """Wait until the process and its output have ended; kill it after ``grace`` seconds."""
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                self._report(self.name, f"did not stop within {grace:g} s and was killed")
                self._signal(signal.SIGKILL)
                await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _exit(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
