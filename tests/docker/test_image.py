"""The image: small, described, run by nobody in particular, and with everything in it that the services need."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.docker

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: Bytes that are added to the base image at most. Today 36 million.
_ADDED_MAX = 40_000_000
_PATIENCE_SECONDS = 120

#: Imports every module, and uses the compiled kernel.
_PROGRAM = """
import importlib, pkgutil
for package in ("gateway", "translator", "session_state", "turngate"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        # For other people's tests, with pytest; and the modules of the extras otel and numpy.
        optional = ("turngate.testing", "turngate.tracing.otel", "turngate.kernel.numpy_resampler")
        if not module.name.startswith(optional) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
from gateway.audio.resampling import make_resampler
from turngate import kernel
assert kernel.implementation() == "compiled"
print(len(make_resampler(16_000, 24_000).feed(b"\\1\\0" * 1_600)))
"""


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=_PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def inspected(image: str) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", image))
    assert isinstance(found, dict)
    return found


def python(image: str, *arguments: str) -> str:
    return docker("run", "--rm", "--network", "none", "--read-only", "--entrypoint", "python", image, *arguments)


def test_it_says_what_it_is(image: str) -> None:
    config = inspected(image)["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels.keys() >= {"title", "description", "licenses", "version", "revision"}
    assert (labels["licenses"], labels["version"]) == (_PROJECT["license"], _PROJECT["version"])
    assert int(config["User"].split(":")[0]) > 0, "not root"
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "turngate.local.health"]


def test_what_it_adds_to_its_base_is_bounded(image: str) -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)", (_ROOT / "infra/docker/Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert inspected(image)["Size"] - inspected(base)["Size"] <= _ADDED_MAX


def test_nothing_is_missing(image: str) -> None:
    assert int(python(image, "-W", "error::ImportWarning", "-c", _PROGRAM)) == 2 * 2_400


def test_neither_numpy_nor_a_compiler_is_in_it(image: str) -> None:
    program = "import importlib.util as u, shutil; print(u.find_spec('numpy'), shutil.which('gcc'), shutil.which('cc'))"
    assert python(image, "-c", program).split() == ["None"] * 3


def test_what_is_installed_is_listed(image: str) -> None:
    listed = json.loads(python(image, "-c", "print(open('/opt/turngate/sbom.cdx.json').read())"))
    assert listed["bomFormat"] == "CycloneDX"
    versions = {_name(one["name"]): one["version"] for one in listed["components"]}
    pins = dict(line.split("==") for line in (_ROOT / "constraints.txt").read_text("utf-8").split())
    pinned = {_name(name): version for name, version in pins.items()}
    direct = {_name(re.split(r"[\[<>=]", requirement)[0]) for requirement in _PROJECT["dependencies"]}
    assert direct <= versions.keys()
    unpinned = {name for name, version in versions.items() if pinned.get(name) != version}
    assert unpinned - {"turngate"} == set(), "each is pinned"


@pytest.fixture
def simulator(image: str) -> Iterator[str]:
    container = docker("run", "-d", "--network", "none", image, "simulator").strip()
    yield container
    docker("rm", "-f", container)


def test_its_health_check_is_that_of_the_service_that_it_runs(image: str, simulator: str) -> None:
    docker("exec", simulator, "sh", "-c", "until python -m turngate.local.health 2>/dev/null; do sleep 0.2; done")
    with pytest.raises(AssertionError, match="does not answer"):
        python(image, "-m", "turngate.local.health")


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
