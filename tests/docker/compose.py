"""A project of docker compose with nothing of this machine's, and a conversation with what runs in it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
import yaml

from tests.programs import required

ROOT = Path(__file__).parents[2]
#: Seconds after which a step is given up; nothing here measures time.
BUILD, PATIENCE = 900, 120


class Compose:
    """One project with a name, these ``settings`` in its `.env`, and these profiles."""

    def __init__(self, name: str, env_file: Path, settings: Mapping[str, object], *profiles: str) -> None:
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        if not plugin and shutil.which("docker-compose") is None:
            pytest.fail("neither the compose plugin nor docker-compose is installed")
        self.command = [
            *(["docker", "compose"] if plugin else ["docker-compose"]),
            *("--project-name", f"turngate-{name}-{os.getpid()}", "--env-file", str(env_file)),
            *(word for profile in profiles for word in ("--profile", profile)),
        ]
        self.settings = settings
        env_file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("TURNGATE_", "OPENAI_"))}

    def __call__(self, *arguments: str, timeout: float = PATIENCE) -> str:
        done = subprocess.run(
            [*self.command, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, (
            f"compose {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    @contextmanager
    def up(self, *arguments: str) -> Iterator[None]:
        """Built and started with these arguments, and removed with its data in the end."""
        self("build", timeout=BUILD)
        try:
            self("up", "-d", *arguments, timeout=BUILD)
            yield
        finally:
            self("down", "-v", "--remove-orphans")

    def containers(self, service: str) -> list[str]:
        return self("ps", "-q", service).split()


def needs_image(service: str) -> None:
    """Skip the test if the image of this service neither exists nor can be pulled; fail if programs
    are required."""
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["image"]
    for command in ("image inspect", "pull -q"):
        if subprocess.run(["docker", *command.split(), image], capture_output=True).returncode == 0:
            return
    (pytest.fail if required() else pytest.skip)(f"{image} cannot be pulled")


def health(container: str) -> str:
    """The container's health, as soon as its first check is done."""
    command = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        if status != "starting":
            return status
    return "starting"


@asynccontextmanager
async def conversation(address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[websockets.ClientConnection]:
    """A configured session with the agent at this address: a scheme, a host and a port."""
    url = f"{address}/v1/agent/converse"
    async with websockets.connect(url, additional_headers={"Authorization": "Token none"}, ssl=tls) as client:
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
