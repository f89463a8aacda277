"""docker-compose.yml as a user runs it: built, scaled, talked to, and robbed of a translator during a reply."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.docker.compose import PATIENCE, ROOT, Compose, ask, conversation, health, needs_image, replies, until
from turngate.local.health import check
from turngate.local.ports import free_port

pytestmark = pytest.mark.docker

TRANSLATORS = 4
TURNS = 24
#: A translator's script of `turngate.bus.finishing`, in the output of MONITOR, with the address that it came from.
_ACKNOWLEDGED = re.compile(rb'\[\d+ ([\d.]+):\d+\] "EVALSHA" "\w+" "1" "turngate.client-events" "translator" "\d+-\d+"')


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    settings = {
        "TURNGATE_PUBLISHED_PORT": free_port(),
        "TURNGATE_CONSOLE_PORT": free_port(),
        "TURNGATE_PROMETHEUS_PORT": free_port(),
        "TURNGATE_SIMULATOR_PACE": 0.2,
    }
    compose = Compose("test", tmp_path_factory.mktemp("compose") / "env", settings)
    with compose.up("--scale", f"translator={TRANSLATORS}"):
        yield compose


@pytest.fixture(scope="module")
def address(compose: Compose) -> str:
    """Where clients connect."""
    return f"ws://127.0.0.1:{compose.settings['TURNGATE_PUBLISHED_PORT']}"


def test_everything_gets_healthy(compose: Compose, address: str) -> None:
    assert len(compose.containers("translator")) == TRANSLATORS
    for service in ("redis", "simulator", "session-state", "translator", "gateway-direct"):
        containers = compose.containers(service)
        assert containers, service
        for container in containers:
            assert health(container) == "healthy", f"{service} {container}"
    assert check(f"{address.replace('ws', 'http', 1)}/health", timeout=10) is None


def test_every_profile_is_accepted(compose: Compose) -> None:
    for profile in ("observability", "edge"):
        compose("--profile", profile, "config", "--quiet")


def test_its_image_can_send_traces(compose: Compose) -> None:
    run = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "python")
    for service in ("gateway-direct", "translator", "session-state"):
        compose(*run, service, "-c", "import turngate.tracing.otel")


def test_published_for_others_it_needs_keys(compose: Compose) -> None:
    """On this machine's loopback, as above, it needs none."""
    gateway = ("run", "--rm", "-T", "--no-deps", "-e", "TURNGATE_PUBLISHED_HOST=0.0.0.0", "gateway-direct")
    done = subprocess.run(
        [*compose.command, *gateway], cwd=ROOT, env=compose.env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "TURNGATE_API_KEYS: needed" in done.stdout + done.stderr


def test_prometheus_of_the_profile_asks_every_container(compose: Compose) -> None:
    needs_image("prometheus")
    compose("--profile", "observability", "up", "-d", "--no-deps", "prometheus")
    url = f"http://127.0.0.1:{compose.settings['TURNGATE_PROMETHEUS_PORT']}/api/v1"
    expected = {"turngate-gateway": 1, "turngate-translator": TRANSLATORS, "turngate-session-state": 1}
    deadline = time.monotonic() + PATIENCE
    while (found := scraped(url)) != expected:
        assert time.monotonic() < deadline, f"{found} are scraped, and not {expected}"
        time.sleep(0.5)
    with urllib.request.urlopen(f"{url}/rules", timeout=10) as answer:
        rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
    assert rules
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def scraped(url: str) -> Counter[str]:
    """How many processes of each job Prometheus has scraped with success."""
    try:
        with urllib.request.urlopen(f"{url}/targets?state=active", timeout=10) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
    except OSError:
        return Counter()
    return Counter(target["labels"]["job"] for target in targets if target["health"] == "up")


async def test_the_work_is_spread_over_the_translators(compose: Compose, address: str) -> None:
    async with acknowledgements(compose) as seen, conversation(address) as client:
        for turn in range(TURNS):
            await ask(client, f"This is turn {turn}.")
            said = await until(client, "AgentAudioDone")
            assert f"This is turn {turn}." in replies(said)[0]
    assert len(seen) == TRANSLATORS, seen
    assert sum(seen.values()) >= TURNS


@asynccontextmanager
async def acknowledgements(compose: Compose) -> AsyncIterator[Counter[str]]:
    """How many client events each address has acknowledged meanwhile, as Redis sees it; complete when left."""
    redis = (await asyncio.to_thread(compose.containers, "redis"))[0]
    monitor = await asyncio.create_subprocess_exec(
        "docker", "exec", redis, "redis-cli", "MONITOR", stdout=asyncio.subprocess.PIPE
    )
    assert monitor.stdout is not None
    assert await monitor.stdout.readline() == b"OK\n"
    seen: Counter[str] = Counter()

    async def count(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            if acknowledged := _ACKNOWLEDGED.search(line):
                seen[acknowledged[1].decode()] += 1

    counting = asyncio.create_task(count(monitor.stdout))
    try:
        yield seen
    finally:
        monitor.terminate()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(counting, monitor.wait())


async def test_a_conversation_survives_the_death_of_a_translator(compose: Compose, address: str) -> None:
    async with conversation(address) as client:
        await ask(client, "[say 60 words]")
        await until(client, "AgentStartedSpeaking")
        victim = (await asyncio.to_thread(compose.containers, "translator"))[0]
        await asyncio.to_thread(subprocess.run, ["docker", "kill", victim], check=True, capture_output=True)
        await client.send(json.dumps({"type": "UpdatePrompt", "prompt": "And be kind."}))
        await ask(client, "Are you still there?")
        first = await until(client, "AgentAudioDone")
        second = await until(client, "AgentAudioDone")
    assert len(replies(first)) == len(replies(second)) == 1
    assert "Are you still there?" in replies(second)[0]
    assert [one["type"] for one in first + second].count("PromptUpdated") == 1
