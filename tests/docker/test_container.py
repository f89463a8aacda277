"""The image in a team's test: `TurngateContainer`, with a Redis beside it."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from turngate.testing.container import TurngateContainer

pytestmark = pytest.mark.docker

_ROOT = Path(__file__).parents[2]
#: Seconds after which building the image is given up.
_BUILD = 900


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    """The image of this code."""
    command = ["docker", "build", "-q", "-f", "infra/docker/Dockerfile", "-t", "turngate", "."]
    env = {"DOCKER_BUILDKIT": "0", **os.environ}
    subprocess.run(command, cwd=_ROOT, env=env, check=True, capture_output=True, timeout=_BUILD)


def test_a_conversation_with_the_container() -> None:
    with TurngateContainer().with_redis().with_api_keys("k3y") as turngate:
        url = f"{turngate.gateway_url}/v1/agent/converse"
        with pytest.raises(InvalidStatus):
            connect(url)
        think = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Be kind."}
        with connect(url, additional_headers={"Authorization": "Token k3y"}) as client:
            client.send(json.dumps({"type": "Settings", "audio": {}, "agent": {"think": think}}))
            kinds: list[str] = []
            while "SettingsApplied" not in kinds:
                kinds.append(json.loads(client.recv(60))["type"])
        with urllib.request.urlopen(f"{turngate.http_url}/v1/agent/settings/think/models") as answer:
            assert json.load(answer)["models"][0]["id"] == "gpt-realtime-2.1"
