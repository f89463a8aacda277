"""Several workers behind one port, on real processes: each is a gateway of its own, and together they are one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidMessage, InvalidStatus

from tests.chaos.callers import Caller
from tests.end_to_end.client import PATIENCE_SECONDS, get, settings
from tests.end_to_end.line import Line, line
from turngate.local.child import Child
from turngate.local.ports import free_port
from turngate.local.stack import Stack

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # Elsewhere a gateway with several workers refuses to start, since the kernel does not spread clients over them.
    pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
]

WORKERS = 3
#: Far more connections than it takes until each worker has one.
CONNECTIONS_MAX = 200
ENV = {
    "TURNGATE_GATEWAY_WORKERS": str(WORKERS),
    "TURNGATE_CLAIM_WAIT_MS": "10000",
    "TURNGATE_DRAIN_MS": "60000",
    "TURNGATE_API_KEYS": "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For logs."""
    return tmp_path_factory.mktemp("logs")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def many(redis_url: str, folder: Path) -> AsyncIterator[Stack]:
    """A gateway with three workers."""
    async with started(redis_url, log_folder=folder) as stack:
        yield stack


@contextlib.asynccontextmanager
async def started(redis_url: str, log_folder: Path | None = None, **env: str) -> AsyncIterator[Stack]:
    """A gateway with three workers that is not started again when it ends."""
    url, of_stack = f"{redis_url.rpartition('/')[0]}/7", {**ENV, **env}
    async with Stack(
        redis_url=url, translators=1, pace=0.2, env=of_stack, log_folder=log_folder, restarts=False
    ) as stack:
        yield stack


def gateway(stack: Stack) -> Child:
    return stack.processes["gateway-1"]


async def workers(stack: Stack) -> dict[int, dict[str, Any]]:
    """What the gateway says of its workers, by number."""
    health = await get(f"{stack.internal_url('gateway')}/health")
    return {one["worker"]: one for one in health["workers"]}


async def owners(stack: Stack) -> dict[str, int]:
    """The numbers of the workers that own each live session."""
    pids = {one["pid"]: number for number, one in (await workers(stack)).items()}
    listed = (await get(f"{stack.session_state_url}/sessions"))["sessions"]
    # A name on the streams has the process id in it.
    return {one["session"]: pids.get(int(one["gateway"].split("-")[-2]), 0) for one in listed}


async def until_serving(stack: Stack, other_than: Sequence[int] = ()) -> dict[int, dict[str, Any]]:
    """Wait until there are as many workers as wanted, all of them serve, and none is one of these processes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await workers(stack)
            good = all(one["state"] == "serving" and one["pid"] not in other_than for one in found.values())
            if good and len(found) == WORKERS:
                return found
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def returning(stack: Stack, session: str) -> AsyncIterator[Line]:
    """A line, as of a client that tries again: the kernel closes the connections of a process that was killed a moment
    before its port."""
    async with contextlib.AsyncExitStack() as opened, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(OSError, InvalidMessage):
                yield await opened.enter_async_context(line(stack, session=session))
                return
            await asyncio.sleep(0.01)


class Everywhere:
    """Lines that talk, at least one on each worker."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.owners: dict[str, int] = {}

    def of(self, worker: int) -> dict[str, Line]:
        return {name: one for name, one in self.lines.items() if self.owners[name] == worker}


@contextlib.asynccontextmanager
async def everywhere(stack: Stack) -> AsyncIterator[Everywhere]:
    found = Everywhere()
    async with contextlib.AsyncExitStack() as opened:
        while set(found.owners.values()) != set(await workers(stack)):
            assert len(found.lines) < CONNECTIONS_MAX, found.owners
            one = await opened.enter_async_context(line(stack))
            name = (await one.until("Welcome"))["request_id"]
            await one.say(**settings())
            await one.until("SettingsApplied")
            found.lines[name] = one
            found.owners = {name: worker for name, worker in (await owners(stack)).items() if name in found.lines}
        yield found


def logged(folder: Path, event: str) -> list[str]:
    return [one for one in (folder / "gateway-1.log").read_text().splitlines() if f'"event": "{event}"' in one]


async def test_conversations_on_all_workers_are_one_gateway(many: Stack, folder: Path) -> None:
    before = len(of_workers(folder))
    async with everywhere(many) as found:
        for one in found.lines.values():
            assert "Ada" in await one.turn("My name is Ada.")
        text = (await get_text(f"{many.internal_url('gateway')}/metrics")).splitlines()
        sessions = [re.fullmatch(r'turngate_sessions\{worker="(\d)",slot="\w+"\} (\d+)\.0', one) for one in text]
        counts = dict.fromkeys(await workers(many), 0)
        for match in filter(None, sessions):
            counts[int(match[1])] += int(match[2])
        assert counts == {worker: len(found.of(worker)) for worker in counts}
        assert 'turngate_gateway_workers_serving{worker="supervisor"} 3.0' in text
        ready = await get(f"{many.internal_url('gateway')}/ready")
        assert (ready["ready"], ready["workers_ready"]) == (True, WORKERS)
        assert "unavailable" not in await get_text(f"{many.gateway_url.replace('ws', 'http')}/health")
    assert len(of_workers(folder)) - before == len(found.lines)


def of_workers(folder: Path) -> list[str]:
    """The lines about sessions that have the number of a worker."""
    return [one for one in logged(folder, "session_started") if re.search(r'"worker": "\d"', one)]


async def get_text(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(url)).text


async def test_a_worker_that_dies_is_started_again_and_costs_the_others_nothing(many: Stack, folder: Path) -> None:
    restarts = sum(one["restarts"] for one in (await workers(many)).values())
    async with everywhere(many) as found:
        async with line(many, session="11111111-1111-4111-8111-111111111111") as lost:
            name = (await lost.until("Welcome"))["request_id"]
            await lost.say(**settings("Mind the cat."))
            await lost.until("SettingsApplied")
            await lost.turn("My name is Ada.")
            await (await lost.socket.ping())
            found.owners = await owners(many)
            dying = found.owners[name]
            pid = (await workers(many))[dying]["pid"]
            os.kill(pid, signal.SIGKILL)
            await lost.socket.wait_closed()
        async with returning(many, session="11111111-1111-4111-8111-111111111111") as back:
            welcome = await back.until("Welcome")
            assert (welcome["request_id"], welcome["resumed"]) == (name, True)
            await back.say(**settings("Mind the cat."))
            assert "Mind the cat." in await back.turn("What are your instructions?")
            for number in set(found.owners.values()) - {dying}:
                for other in found.of(number).values():
                    assert "Eve" in await other.turn("My name is Eve.")
        serving = await until_serving(many, [pid])
        assert sum(one["restarts"] for one in serving.values()) == restarts + 1
    died = logged(folder, "worker_died")[-1]
    assert f'"pid": {pid}' in died
    assert '"how": "killed by SIGKILL"' in died
    text = await get_text(f"{many.internal_url('gateway')}/metrics")
    assert f'turngate_gateway_workers_restarts_total{{worker="supervisor"}} {restarts + 1}.0' in text


async def terminated(many: Stack) -> Child:
    """The gateway, which was sent SIGTERM and accepts no clients any more."""
    process = gateway(many)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await refuses(many):
            await asyncio.sleep(0)
    return process


async def test_all_drain_together_and_the_process_ends(redis_url: str) -> None:
    async with started(redis_url) as many, everywhere(many) as found:
        process = await terminated(many)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await response(f"{many.internal_url('gateway')}/ready")) != 503:
                await asyncio.sleep(0)
        for one in found.lines.values():
            assert "Ada" in await one.turn("My name is Ada.")
        assert (await workers(many)).keys() == {1, 2, 3}
        assert process.pid is not None
        for one in found.lines.values():
            await one.socket.close(1000)
        assert await exit_code(process) == 0


async def test_a_second_signal_ends_it_at_once(redis_url: str) -> None:
    async with started(redis_url) as many, everywhere(many) as found:
        process = await terminated(many)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        for one in found.lines.values():
            await one.socket.wait_closed()
            assert one.socket.close_code == 1012
        assert await exit_code(process) == 0


async def response(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(url)).status_code


async def refuses(stack: Stack) -> bool:
    """Whether nobody listens at the public port."""
    host, _, port = stack.layout.addresses["gateway"][0].rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return True
    writer.close()
    return False


async def exit_code(process: Child) -> int | None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await process.given_up.wait()
    assert process._process is not None
    return process._process.returncode


async def test_replacing_them_one_by_one_loses_no_conversation(many: Stack, folder: Path) -> None:
    before = [one["pid"] for one in (await workers(many)).values()]
    begun, leaving, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    returning = [
        Caller(many.gateway_url, lambda turns: turns < 2 or not over.is_set(), begun.set, returns=True)
        for _ in range(4)
    ]
    # They stay with their worker, which waits for them, until they have ended.
    last: dict[int, int] = {}
    staying = [Caller(many.gateway_url, _until_two_more(last, n, leaving), begun.set, returns=False) for n in range(12)]

    async def replace() -> None:
        try:
            await begun.wait()
            pid = gateway(many).pid
            assert pid is not None
            os.kill(pid, signal.SIGHUP)
            async with asyncio.timeout(4 * PATIENCE_SECONDS):
                while not logged(folder, "workers_replaced"):
                    # Whoever comes meanwhile is served.
                    async with line(many) as new:
                        await new.until("Welcome")
                    if any(one["state"] == "leaving" for one in (await workers(many)).values()):
                        leaving.set()
                    await asyncio.sleep(0.05)
        finally:
            leaving.set()
            over.set()

    async with asyncio.TaskGroup() as group:
        for caller in (*returning, *staying):
            group.create_task(caller.run())
        group.create_task(replace())
    for caller in (*returning, *staying):
        assert (caller.cut, caller.unknown, caller.greeted, caller.errors) == (False, 0, 1, []), vars(caller)
        assert (caller.doubled(), caller.recovered) == ([], 0), vars(caller)
    await until_serving(many, before)


def _until_two_more(last: dict[int, int], number: int, leaving: asyncio.Event) -> Callable[[int], bool]:
    """Says whether this caller wants more turns: until a worker leaves, and two more."""

    def wants(turns: int) -> bool:
        if leaving.is_set():
            last.setdefault(number, turns + 2)
        return turns < last.get(number, turns + 1)

    return wants


async def test_limits_hold_for_all_workers_together(redis_url: str) -> None:
    async with (
        started(redis_url, TURNGATE_SESSIONS_MAX="5", TURNGATE_DRAIN_MS="0") as stack,
        contextlib.AsyncExitStack() as opened,
    ):
        for _ in range(5):
            await (await opened.enter_async_context(line(stack))).until("Welcome")
        for _ in range(10):
            with pytest.raises(InvalidStatus) as refused:
                async with line(stack):
                    pass
            assert refused.value.response.status_code == 429


async def ends(**env: str) -> tuple[int | None, str]:
    """How a gateway with workers ends that cannot start: its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "turngate.cli.app", "gateway"),
        env={**os.environ, "TURNGATE_GATEWAY_WORKERS": "3", "TURNGATE_GATEWAY_INTERNAL_PORT": "0", **env},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        said = (await process.stderr.read()).decode()
        await process.wait()
    return process.returncode, "\n".join(one for one in said.splitlines() if '"level": "info"' not in one)


async def test_a_port_that_is_taken_is_said_once(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        code, said = await ends(TURNGATE_GATEWAY_PORT=str(port), TURNGATE_REDIS_URL=redis_url)
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"TURNGATE_GATEWAY_PORT: cannot listen on 127.0.0.1:{port} (Address already in use" in said


async def test_the_port_of_another_gateway_with_workers_is_taken_too(many: Stack, redis_url: str) -> None:
    port = many.gateway_url.rpartition(":")[2]
    code, said = await ends(TURNGATE_GATEWAY_PORT=port, TURNGATE_REDIS_URL=redis_url)
    assert code == 2
    assert "Address already in use" in said


@pytest.mark.parametrize("variable", ["TURNGATE_API_KEYS_FILE", "TURNGATE_NAMES_FILE"])
async def test_a_setting_with_which_no_worker_can_start_is_said_once(
    variable: str, redis_url: str, tmp_path: Path
) -> None:
    code, said = await ends(
        **{"TURNGATE_GATEWAY_PORT": "0", "TURNGATE_REDIS_URL": redis_url, variable: str(tmp_path / "away")}
    )
    assert code == 2
    assert len(said.splitlines()) == 1, said
    assert said.startswith(f"turngate gateway: {variable}: ")
