"""`docker compose --profile edge up --scale gateway=3 --scale translator=4`: clients come through HAProxy, with and
without TLS, and each gateway is replaced while they talk."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.chaos.callers import Caller
from tests.docker.compose import BUILD, PATIENCE, ROOT, Compose, ask, conversation, health, needs_image, replies, until
from turngate.local.ports import free_port

pytestmark = pytest.mark.docker

GATEWAYS, TRANSLATORS = 3, 4
CALLERS, TURNS = 8, 6
_SESSIONS = re.compile(r'^haproxy_server_current_sessions\{proxy="gateways",server="([\w-]+)"\} (\d+)', re.MULTILINE)
_UP = re.compile(r'^haproxy_server_status\{proxy="gateways",server="([\w-]+)",state="UP"\} 1$', re.MULTILINE)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an operator has it, with a certificate for localhost that user 99 can read."""
    made = tmp_path_factory.mktemp("edge")
    folder = made / "certificates"
    folder.mkdir()
    pem = folder / "localhost.pem"
    pem.write_text("".join(path.read_text() for path in self_signed(made, "localhost")))
    # The folders of pytest are its user's own.
    for path in (pem, folder, made, made.parent):
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def edge(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    needs_image("haproxy")
    settings = {
        "TURNGATE_PUBLISHED_PORT": free_port(),
        "TURNGATE_CONSOLE_PORT": free_port(),
        "TURNGATE_EDGE_PORT": free_port(),
        "TURNGATE_EDGE_TLS_PORT": free_port(),
        "TURNGATE_EDGE_CERTIFICATES": certificates,
        "TURNGATE_SIMULATOR_PACE": 0.2,
    }
    compose = Compose("edge", tmp_path_factory.mktemp("compose") / "env", settings, "edge")
    with compose.up("--scale", f"gateway={GATEWAYS}", "--scale", f"translator={TRANSLATORS}"):
        wait_for(compose, _UP, GATEWAYS)
        yield compose


@pytest.fixture(scope="module")
def address(edge: Compose) -> str:
    """Where clients of this machine connect, without TLS."""
    return f"ws://127.0.0.1:{edge.settings['TURNGATE_EDGE_PORT']}"


def metrics(edge: Compose) -> str:
    """What HAProxy says of itself."""
    (haproxy,) = edge.containers("haproxy")
    command = ["docker", "exec", haproxy, "wget", "-q", "-O", "-", "http://127.0.0.1:8405/metrics"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def wait_for(edge: Compose, line: re.Pattern[str], number: int) -> None:
    """Return when so many lines of HAProxy's metrics are like this."""
    deadline = time.monotonic() + PATIENCE
    while len(found := line.findall(metrics(edge))) != number:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_everything_gets_healthy(edge: Compose) -> None:
    expected = {"gateway": GATEWAYS, "translator": TRANSLATORS, "haproxy": 1, "gateway-direct": 1}
    for service, number in expected.items():
        containers = edge.containers(service)
        assert len(containers) == number, service
        for container in containers:
            assert health(container) == "healthy", f"{service} {container}"


async def test_each_gateway_gets_its_share(edge: Compose, address: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2 * GATEWAYS):
            await stack.enter_async_context(conversation(address))
        shares = Counter(
            {name: int(count) for name, count in _SESSIONS.findall(await asyncio.to_thread(metrics, edge))}
        )
    assert sorted(+shares) == sorted(_UP.findall(await asyncio.to_thread(metrics, edge)))
    assert max(shares.values()) == 2, shares


async def test_a_conversation_with_tls(edge: Compose, certificates: Path) -> None:
    trusted = ssl.create_default_context(cafile=str(certificates / "localhost.pem"))
    async with conversation(f"wss://localhost:{edge.settings['TURNGATE_EDGE_TLS_PORT']}", trusted) as client:
        await ask(client, "Is this encrypted?")
        said = await until(client, "AgentAudioDone")
    assert "Is this encrypted?" in replies(said)[0]


async def test_a_rolling_restart_loses_no_client_that_returns(edge: Compose, address: str) -> None:
    """`infra/haproxy/roll.sh` replaces all gateways under talking sessions."""
    before = await asyncio.to_thread(edge.containers, "gateway")
    over, talking = asyncio.Event(), asyncio.Event()
    callers = [
        Caller(address, lambda turns: turns < TURNS or not over.is_set(), talking.set, returns=True)
        for _ in range(CALLERS)
    ]

    async def roll() -> None:
        try:
            await talking.wait()
            await asyncio.to_thread(rolled, edge)
        finally:
            over.set()

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.run())
        group.create_task(roll())
    after = await asyncio.to_thread(edge.containers, "gateway")
    assert len(after) == GATEWAYS
    assert set(after).isdisjoint(before)
    assert [caller.cut for caller in callers] == [False] * CALLERS
    assert [caller.greeted for caller in callers] == [1] * CALLERS
    assert [caller.doubled() for caller in callers] == [[]] * CALLERS
    assert [caller.errors for caller in callers] == [[]] * CALLERS
    assert [caller.recovered for caller in callers] == [0] * CALLERS, "nothing that was said is lost"
    assert min(len(caller.away) for caller in callers) > 0, "each has moved at least once"


def rolled(edge: Compose) -> None:
    """Replace every gateway, as an operator does."""
    env = {**edge.env, "COMPOSE": " ".join(edge.command)}
    done = subprocess.run(
        ["infra/haproxy/roll.sh"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=BUILD, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
