"""The image of this code, built once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
#: Seconds after which building the image is given up.
_BUILD = 900


@pytest.fixture(scope="session")
def image() -> str:
    """Its name, without extras. It is also built as ``turngate:latest``, until docker-compose.yml builds that with its
    extras."""
    name = "turngate:plain"
    command = ["docker", "build", "-q", "-f", "infra/docker/Dockerfile", "-t", name, "-t", "turngate:latest", "."]
    env = {"DOCKER_BUILDKIT": "0", **os.environ}
    subprocess.run(command, cwd=_ROOT, env=env, check=True, capture_output=True, timeout=_BUILD)
    return name
