"""The whole of turngate on this machine: broker, simulator and services, each a process of its own.

`turngate run` shows one of these to a person; tests and the demo drive one themselves:

    async with Stack(translators=3) as stack:
        ...                                   # talk to stack.gateway_url
        stack.processes["translator-1"].kill()

Start is in the order of dependency, stop in the reverse one, gateways first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from turngate.local.broker import BrokerError, find_server
from turngate.local.child import Child, ChildError, Program, Report
from turngate.local.plan import Plan, plan


class StackError(Exception):
    """The stack could not start. The text is one line for the person who started it; nothing is left running."""


def _silent(name: str, text: str) -> None:
    """Reports to nobody."""


class Stack:
    """Start it and stop it as an async context manager, in the main thread's event loop."""

    def __init__(
        self,
        *,
        translators: int = 2,
        gateways: int = 1,
        session_states: int = 1,
        simulator: bool = True,
        redis_url: str | None = None,
        pace: float | None = None,
        ports: Mapping[str, int] | None = None,
        gateway_host: str = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        log_folder: Path | None = None,
        report: Report = _silent,
        restarts: bool = True,
    ) -> None:
        """Nothing starts yet.

        simulator: the upstream is the simulator; False: it is what the environment (or ``env``) names.
        redis_url: the broker to use; None: a broker of its own.
        pace: the simulator's; None: as configured.
        ports: by service name (``gateway``, ``session-state``, ``simulator``, ``broker``), for the first of its kind;
            0 or absent: any free one.
        gateway_host: the address on which gateways listen; everything else is on loopback.
        env: more variables for every process, on top of this one's.
        report: called with a process's name and one line, for whatever a person should know.
        restarts: False leaves what died dead.
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
        self._given_redis_url = redis_url
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("the stack has not been started: use `async with`")
        return self._plan

    @property
    def redis_url(self) -> str:
        return self.plan.redis_url

    @property
    def gateway_url(self) -> str:
        """The first gateway, such as ``ws://127.0.0.1:8080``; add a path."""
        return self.gateway_urls[0]

    @property
    def gateway_urls(self) -> tuple[str, ...]:
        return tuple(f"ws://{address}" for address in self.plan.addresses["gateway"])

    @property
    def session_state_url(self) -> str:
        """The first session-state's admin HTTP, such as ``http://127.0.0.1:8082``."""
        return f"http://{self.plan.addresses['session-state'][0]}"

    @property
    def translator_urls(self) -> tuple[str, ...]:
        return tuple(f"http://{address}" for address in self.plan.addresses["translator"])

    @property
    def simulator_url(self) -> str:
        """The simulator's HTTP. Raises LookupError when the upstream is not the simulator."""
        return f"http://{self.plan.addresses['simulator'][0]}"

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
        """Stop everything in order: what takes from others first."""
        for stage in reversed(self.plan.stages if self._plan else ()):
            children = [self.processes[program.name] for program in stage if program.name in self.processes]
            await asyncio.gather(*(child.stop() for child in children))
        self.processes.clear()

    def kill(self) -> None:
        """SIGKILL everything now and for good; a `stop` under way then ends at once."""
        for child in self.processes.values():
            child.halt()

    async def until_given_up(self) -> str:
        """Wait until some process has died too often to be started again; returns its name."""
        waits = {asyncio.create_task(child.given_up.wait()): child.name for child in self.processes.values()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()]
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self) -> None:
        try:
            server = find_server() if self._given_redis_url is None else None
        except BrokerError as error:
            raise StackError(str(error)) from None
        self._plan = plan(
            self._counts,
            self._ports,
            gateway_host=self._gateway_host,
            redis_url=self._given_redis_url,
            server=server,
            simulator=self._simulator,
            pace=self._pace,
            env=self._env,
        )
        for stage in self._plan.stages:
            await self._start_stage(stage)

    async def _start_stage(self, stage: tuple[Program, ...]) -> None:
        """Start these side by side; returns when all are ready."""
        children = [
            Child(program, self._report, log_folder=self._log_folder, restarts=self._restarts) for program in stage
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
