"""A stack: all of turngate on this machine, with the broker, the simulator and each service as processes.

`turngate run` starts one; tests and the demo do so in code:

    async with Stack(translators=3) as stack:
        ...                                   # connect to stack.gateway_url
        stack.processes["translator-1"].kill()

Processes are started at the same time, since each waits for what it needs, and stopped by dependency, gateways first.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from turngate.local.broker import BrokerError, find_server
from turngate.local.child import Child, ChildError, Program, Report
from turngate.local.faults import FaultsSocket, private_folder
from turngate.local.layout import Layout, lay_out

#: More than these keep up with whatever one machine carries.
_TRANSLATORS_MAX = 4


def translators_for(cores: int) -> int:
    """How many translators pay off beside everything else on so many cores: each process more is one more that has to
    be woken up. One carries what a gateway needs on two cores."""
    return max(1, min(_TRANSLATORS_MAX, cores // 2))


class StackError(Exception):
    """The stack could not be started. The text is one line for the user; all processes are stopped."""


def _silent(name: str, text: str) -> None:
    """Report nothing."""


class Stack:
    """A stack as an async context manager. Use it in the main thread."""

    def __init__(
        self,
        *,
        translators: int = 2,
        gateways: int = 1,
        session_states: int = 1,
        simulator: bool = True,
        redis_url: str | None = None,
        redis_urls: Mapping[str, str] | None = None,
        redis_servers: int = 1,
        pace: float | None = None,
        ports: Mapping[str, int] | None = None,
        gateway_host: str = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        log_folder: Path | None = None,
        report: Report = _silent,
        restarts: bool = True,
        console_faults: bool = False,
    ) -> None:
        """Define a stack; entering the context starts it.

        simulator: use the simulator as the upstream; False: use the upstream configured in the environment or ``env``.
        redis_url: the broker to use; redis_urls: several, by name. None: start ``redis_servers``.
        pace: the simulator's pace; None: as configured.
        ports: by service name (``gateway``, ``session-state``, ``simulator``, ``broker``), for the first process of
            each kind; 0 or absent: any free one.
        gateway_host: the address on which gateways listen; everything else listens on loopback.
        env: environment variables for every process, in addition to those of this process.
        report: called with a process's name and a line for the user.
        restarts: False to not restart processes that die.
        console_faults: let those who may see sessions cut and kill parts of the stack in the console.
        """
        self.processes: dict[str, Child] = {}
        self._counts = {"translator": translators, "gateway": gateways, "session-state": session_states}
        self._simulator = simulator
        self._pace = pace
        self._ports = dict(ports or {})
        self._gateway_host = gateway_host
        self._env = dict(env or {})
        self._log_folder = log_folder
        self._report = report
        self._restarts = restarts
        self._redis_url = redis_url
        self._redis_urls = redis_urls
        self._redis_servers = redis_servers
        self._layout: Layout | None = None
        self._console_faults = console_faults
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._faults: FaultsSocket | None = None

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise RuntimeError("the stack has not been started: use `async with`")
        return self._layout

    @property
    def redis_url(self) -> str:
        """The URL of the broker, or of the first of several."""
        return self.layout.redis_url

    @property
    def redis_urls(self) -> Mapping[str, str]:
        """The URLs of the brokers by name."""
        return self.layout.redis_urls

    @property
    def gateway_url(self) -> str:
        """The URL of the first gateway without a path, such as ``ws://127.0.0.1:8080``."""
        return self.gateway_urls[0]

    @property
    def gateway_urls(self) -> tuple[str, ...]:
        return tuple(f"ws://{address}" for address in self.layout.addresses["gateway"])

    def internal_url(self, kind: str, number: int = 1) -> str:
        """Where probes and metrics of a process are, such as ``http://127.0.0.1:8084``; ``kind`` is a service's
        name."""
        return f"http://{self.layout.internal_addresses[kind][number - 1]}"

    @property
    def session_state_url(self) -> str:
        """The admin HTTP of the first session-state process, such as ``http://127.0.0.1:8082``."""
        return f"http://{self.layout.addresses['session-state'][0]}"

    @property
    def translator_urls(self) -> tuple[str, ...]:
        return tuple(f"http://{address}" for address in self.layout.addresses["translator"])

    @property
    def simulator_url(self) -> str:
        """The simulator's HTTP address. Raises LookupError if the upstream is not the simulator."""
        return f"http://{self.layout.addresses['simulator'][0]}"

    async def __aenter__(self) -> Stack:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop all processes in reverse start order."""
        for stage in reversed(self.layout.stages if self._layout else ()):
            children = [self.processes[program.name] for program in stage if program.name in self.processes]
            await asyncio.gather(*(child.stop() for child in children))
        self.processes.clear()
        if self._faults is not None:
            await self._faults.close()
        if self._folder is not None:
            self._folder.cleanup()

    def kill(self) -> None:
        """Kill all processes with SIGKILL and do not restart them; a `stop` in progress then returns."""
        for child in self.processes.values():
            child.kill_permanently()

    async def until_given_up(self) -> str:
        """Wait until a process has died too often and is given up; returns its name."""
        waits = {asyncio.create_task(child.given_up.wait()): child.name for child in self.processes.values()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()]
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self) -> None:
        try:
            server = find_server() if self._redis_url is None and self._redis_urls is None else None
        except BrokerError as error:
            raise StackError(str(error)) from None
        socket: Path | None = None
        if self._console_faults:
            self._folder = private_folder()
            socket = Path(self._folder.name) / "faults"
        self._layout = lay_out(
            self._counts,
            self._ports,
            gateway_host=self._gateway_host,
            redis_url=self._redis_url,
            redis_urls=self._redis_urls,
            server=server,
            brokers=self._redis_servers,
            simulator=self._simulator,
            pace=self._pace,
            env=self._env,
            faults_socket=socket,
        )
        if socket is not None:
            self._faults = FaultsSocket(self.processes, self.simulator_url if self._simulator else None)
            try:
                await self._faults.serve(socket)
            except OSError as error:
                self._report("console", f"without buttons that cut and kill: {error}")
        await self._start_all([program for stage in self._layout.stages for program in stage])

    async def _start_all(self, programs: Sequence[Program]) -> None:
        """Start these programs at the same time, each of which waits for what it needs; returns when all are ready."""
        children = [
            Child(program, self._report, log_folder=self._log_folder, restarts=self._restarts) for program in programs
        ]
        self.processes.update((child.name, child) for child in children)
        try:
            async with asyncio.TaskGroup() as group:
                for child in children:
                    group.create_task(self._start_one(child))
        except ExceptionGroup as failures:
            known, other = failures.split(ChildError)
            if known is None or other is not None:
                raise
            raise StackError(str(known.exceptions[0])) from None

    async def _start_one(self, child: Child) -> None:
        took = await child.start()
        self._report(child.name, f"ready at {child.program.address} after {took:.1f} s")
