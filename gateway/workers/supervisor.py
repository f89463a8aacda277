"""The process that supervises a gateway's workers: it starts, watches, replaces and stops them.

It serves no client. It holds the public port, so that no other program takes it, and each worker listens there by
itself (``SO_REUSEPORT``). Its own HTTP is that of the whole gateway (`gateway.workers.pages`).

1. SIGTERM asks all workers to drain; a second one, or SIGINT, to stop at once.
2. SIGHUP replaces them one by one: a new worker becomes ready, then an old one drains.
3. A worker that dies is started again; when one dies again and again, the gateway stops and exits with code 1.
4. A setting with which the first workers cannot start is said once, and the process exits with code 2.
5. When the supervisor is killed, the kernel kills the workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.config import GatewaySettings
from gateway.workers import log_events, metrics
from gateway.workers.pages import Pages
from gateway.workers.place import Place
from gateway.workers.process import State, Worker, WorkerNotStartedError
from gateway.workers.shared import create
from turngate.process import garbage, logging
from turngate.process import log_events as process_events
from turngate.process.http import HttpServer, bind_shared, listen
from turngate.process.settings import SettingsError
from turngate.process.supervisor import Supervisor, run_supervised
from turngate.process.tasks import end

_SHARED = "counts"
_PORT_SETTING = "TURNGATE_GATEWAY_PORT"
#: Seconds that workers get to stop at once, and how much longer than their settings say they may drain.
_STOP_SECONDS = 15.0
_LONGER_SECONDS = 30.0
#: Seconds in which a worker that replaces another one must be ready to serve, and between two looks.
_READY_SECONDS = 30.0
_READY_LOOKS = 0.05


def run(settings: GatewaySettings, count: int) -> None:
    """Run a gateway of ``count`` workers until SIGTERM or SIGINT. Raises `SettingsError` for a setting that is wrong,
    and exits the process with code 1 when a worker cannot be kept running."""
    if sys.platform != "linux":
        raise SettingsError("TURNGATE_GATEWAY_WORKERS: several workers need Linux, which spreads clients over them")
    logging.configure(settings, "gateway", worker="supervisor")

    async def supervised(supervisor: Supervisor) -> None:
        with TemporaryDirectory(prefix="turngate-gateway-") as folder:
            await Workers(settings, count, supervisor, Path(folder)).serve()

    run_supervised(supervised)


class Workers:
    """The workers of one gateway."""

    def __init__(self, settings: GatewaySettings, count: int, supervisor: Supervisor, folder: Path) -> None:
        """``folder``: for the sockets of the workers; it must belong to this user alone."""
        self._settings = settings
        self._count = count
        self._supervisor = supervisor
        self._folder = folder
        # One more than workers: a new one is started before an old one leaves.
        self._shared = create(folder / _SHARED, count + 1)
        self._port = settings.gateway_port
        self._workers: dict[int, Worker] = {}
        self._keeping: dict[int, asyncio.Task[None]] = {}
        self._replacing: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pages = Pages(lambda: list(self._workers.values()), lambda: supervisor.healthy)
        metrics.SERVING.set_function(lambda: sum(one.state is State.SERVING for one in self._workers.values()))

    async def serve(self) -> None:
        """Serve clients until the process should stop. Raises `SettingsError`."""
        settings, supervisor = self._settings, self._supervisor
        internal = HttpServer(self.pages.application())
        internal_address = (settings.gateway_internal_host, settings.gateway_internal_port)
        with (
            contextlib.closing(_reserved(settings.gateway_host, settings.gateway_port)) as public,
            contextlib.closing(listen(*internal_address, "TURNGATE_GATEWAY_INTERNAL_PORT")) as listener,
        ):
            self._port = public.getsockname()[1]
            serving = supervisor.start("http", lambda: internal.serve(sockets=[listener]))
            supervisor.start("workers", self._until_one_is_given_up)
            supervisor.drain = self._drain
            try:
                await self._start()
                garbage.settle()
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._replace_all)
                await supervisor.wait()
                await self._stop()
                process_events.stopped()
            finally:
                supervisor.request_stop()
                await self._kill()
                internal.should_exit = True
                await asyncio.wait([serving])
                await supervisor.end()

    async def _start(self) -> None:
        """Start the workers, beside each other. Returns early if the process should stop."""
        starting = {asyncio.create_task(self._start_one(number)) for number in range(1, self._count + 1)}
        stopping = asyncio.create_task(self._supervisor.wait())
        try:
            left = starting | {stopping}
            while len(left) > 1 and stopping in left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        except WorkerNotStartedError as error:
            self._on_not_started(error)
        else:
            self.pages.started = stopping in left
            log_events.workers_started(
                workers=len(self._keeping), address=f"{self._settings.gateway_host}:{self._port}"
            )
        finally:
            await end([*starting, stopping])

    def _on_not_started(self, error: WorkerNotStartedError) -> None:
        """One of the first workers cannot be started."""
        if self.pages.draining:
            return
        if error.misused:
            raise SettingsError(str(error)) from None
        log_events.worker_not_started(worker=error.worker, reason=str(error))
        self._failed.set_exception(error)

    async def _start_one(self, number: int) -> Worker:
        """Start a worker with this number, and keep it running. Raises `WorkerNotStartedError`."""
        settings = self._settings
        internal, shared = str(self._folder / f"{number}.sock"), str(self._folder / _SHARED)
        place = Place(number, self._count, settings.gateway_host, self._port, internal, shared)
        worker = Worker(place, self._shared.clear)
        self._workers[number] = worker
        try:
            await worker.start()
        except BaseException:
            del self._workers[number]
            raise
        keeping = self._keeping[number] = asyncio.create_task(worker.keep(), name=f"worker {number}")
        keeping.add_done_callback(lambda task: self._on_gone(number, task))
        return worker

    def _on_gone(self, number: int, task: asyncio.Task[None]) -> None:
        self._workers.pop(number, None)
        self._keeping.pop(number, None)
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _until_one_is_given_up(self) -> None:
        await self._failed

    def _replace_all(self) -> None:
        """Replace every worker, one by one, unless that is being done or the gateway drains."""
        if self.pages.draining or (self._replacing is not None and not self._replacing.done()):
            return
        self._replacing = asyncio.create_task(self._replace(), name="replacing")

    async def _replace(self) -> None:
        before = list(self._workers.values())
        log_events.workers_being_replaced(workers=len(before))
        for old in before:
            try:
                new = await self._start_one(next(self._free_numbers()))
                await self._until_ready(new)
            except WorkerNotStartedError as error:
                log_events.workers_not_replaced(worker=error.worker, reason=str(error))
                return
            await self._let_go(old)
        log_events.workers_replaced(workers=len(before))

    def _free_numbers(self) -> Iterator[int]:
        return (number for number in range(1, self._count + 2) if number not in self._workers)

    async def _until_ready(self, worker: Worker) -> None:
        """Return when this new worker can do its work. Otherwise it leaves again, and `WorkerNotStartedError` is
        raised."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if await _is_ready(worker):
                return
            await asyncio.sleep(_READY_LOOKS)
        worker.leave(signal.SIGTERM)
        raise WorkerNotStartedError(worker.number, f"it was not ready within {_READY_SECONDS:.0f} s")

    async def _let_go(self, worker: Worker) -> None:
        """Have this worker drain, and return when it has left. The kernel gives its clients to the others from now on,
        so it need not wait for anybody to notice."""
        keeping = self._keeping.get(worker.number)
        if keeping is None:
            return
        worker.leave(None)
        with contextlib.suppress(OSError):
            await worker.ask("/drain?grace=0", self._longest)
        worker.leave(signal.SIGTERM)
        await self._until_gone([keeping], _STOP_SECONDS)

    async def _drain(self) -> None:
        """Have all workers drain, and return when they have left."""
        self.pages.draining = True
        if self._replacing is not None:
            self._replacing.cancel()
        for worker in self._workers.values():
            worker.leave(signal.SIGTERM)
        await self._until_gone(list(self._keeping.values()), self._longest)

    async def _stop(self) -> None:
        """Have the workers that are left stop at once."""
        self.pages.draining = True
        if self._replacing is not None:
            self._replacing.cancel()
        for worker in self._workers.values():
            worker.leave(signal.SIGINT)
        await self._until_gone(list(self._keeping.values()), _STOP_SECONDS)

    async def _until_gone(self, keeping: list[asyncio.Task[None]], seconds: float) -> None:
        """Wait for the ends of workers that were asked to leave; kill those that are late."""
        if not keeping:
            return
        _, late = await asyncio.wait(keeping, timeout=seconds)
        for worker in [one for one in self._workers.values() if self._keeping.get(one.number) in late]:
            if (pid := worker.pid) is not None:
                log_events.worker_killed(worker=worker.number, pid=pid)
                worker.kill()
        if late:
            await asyncio.wait(late)

    async def _kill(self) -> None:
        """Kill whatever still runs, since this process ends."""
        for worker in list(self._workers.values()):
            worker.leave(signal.SIGKILL)
        if self._keeping:
            await asyncio.wait(list(self._keeping.values()))

    @property
    def _longest(self) -> float:
        """Seconds that a worker may need to drain."""
        return (self._settings.drain_grace_ms + self._settings.drain_ms) / 1000 + _LONGER_SECONDS


async def _is_ready(worker: Worker) -> bool:
    try:
        return (await worker.ask("/ready", _READY_SECONDS)).ok
    except OSError:
        return False


def _reserved(host: str, port: int) -> socket.socket:
    """A socket that holds the public port for workers, and never listens. Raises `SettingsError`."""
    if port:
        # Another gateway of this user that has workers would let this one share its port.
        listen(host, port, _PORT_SETTING).close()
    return bind_shared(host, port, _PORT_SETTING)
