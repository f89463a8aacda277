"""docker-compose.yml as a user runs it: built, scaled, talked to, and robbed of a translator during a reply."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets

from turngate.local.health import check
from turngate.local.ports import free_port

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
TRANSLATORS = 4
TURNS = 24
#: Seconds after which a step is given up; nothing here measures time.
BUILD, PATIENCE = 900, 120
#: A translator's script of `turngate.bus.finishing`, in the output of MONITOR, with the address that it came from.
_ACKNOWLEDGED = re.compile(rb'\[\d+ ([\d.]+):\d+\] "EVALSHA" "\w+" "1" "turngate.client-events" "translator" "\d+-\d+"')


class Compose:
    """One project with a name, a port and a `.env` of its own, and nothing of this machine's."""

    def __init__(self, env_file: Path) -> None:
        self.port = free_port()
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        if not plugin and shutil.which("docker-compose") is None:
            pytest.fail("neither the compose plugin nor docker-compose is installed")
        self.command = [
            *(["docker", "compose"] if plugin else ["docker-compose"]),
            *("--project-name", f"turngate-test-{os.getpid()}", "--env-file", str(env_file)),
        ]
        env_file.write_text(f"TURNGATE_PUBLISHED_PORT={self.port}\nTURNGATE_SIMULATOR_PACE=0.2\n")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("TURNGATE_", "OPENAI_"))}

    def __call__(self, *arguments: str, timeout: float = PATIENCE) -> str:
        done = subprocess.run(
            [*self.command, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, (
            f"compose {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    def containers(self, service: str) -> list[str]:
        return self("ps", "-q", service).split()


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("compose") / "env")
    compose("build", timeout=BUILD)
    try:
        compose("up", "-d", "--scale", f"translator={TRANSLATORS}", timeout=BUILD)
        yield compose
    finally:
        compose("down", "-v", "--remove-orphans")


@asynccontextmanager
async def conversation(port: int) -> AsyncIterator[websockets.ClientConnection]:
    """A configured session with the agent."""
    url = f"ws://127.0.0.1:{port}/v1/agent/converse"
    async with websockets.connect(url, additional_headers={"Authorization": "Token none"}) as client:
        await until(client, "Welcome")
        settings = {
            "type": "Settings",
            "audio": {
                "input": {"encoding": "linear16", "sample_rate": 24000},
                "output": {"encoding": "linear16", "sample_rate": 24000, "container": "none"},
            },
            "agent": {
                "think": {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Be brief."},
                "speak": {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1", "voice": "marin"}},
            },
        }
        await client.send(json.dumps(settings))
        await until(client, "SettingsApplied")
        yield client


async def until(client: websockets.ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Everything said up to the message of this type; an error fails the test."""
    said: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE):
        async for frame in client:
            if isinstance(frame, bytes):
                continue
            said.append(json.loads(frame))
            assert said[-1]["type"] != "Error", said[-1]
            if said[-1]["type"] == kind:
                return said
    raise AssertionError(f"the session ended before {kind}: {said}")


async def ask(client: websockets.ClientConnection, words: str) -> None:
    await client.send(json.dumps({"type": "InjectUserMessage", "content": words}))


def replies(said: list[dict[str, Any]]) -> list[str]:
    return [one["content"] for one in said if one["type"] == "ConversationText" and one["role"] == "assistant"]


def test_everything_gets_healthy(compose: Compose) -> None:
    assert len(compose.containers("translator")) == TRANSLATORS
    for service in ("redis", "simulator", "session-state", "translator", "gateway"):
        for container in compose.containers(service):
            assert health(container) == "healthy", f"{service} {container}"
    assert check(f"http://127.0.0.1:{compose.port}/health", timeout=10) is None


def test_published_for_others_it_needs_keys(compose: Compose) -> None:
    """On this machine's loopback, as above, it needs none."""
    gateway = ("run", "--rm", "-T", "--no-deps", "-e", "TURNGATE_PUBLISHED_HOST=0.0.0.0", "gateway")
    done = subprocess.run(
        [*compose.command, *gateway], cwd=ROOT, env=compose.env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "TURNGATE_API_KEYS: needed" in done.stdout + done.stderr


def health(container: str) -> str:
    """The container's health, as soon as its first check is done."""
    command = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        if status != "starting":
            return status
    return "starting"


async def test_the_work_is_spread_over_the_translators(compose: Compose) -> None:
    async with acknowledgements(compose) as seen, conversation(compose.port) as client:
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


async def test_a_conversation_survives_the_death_of_a_translator(compose: Compose) -> None:
    async with conversation(compose.port) as client:
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
