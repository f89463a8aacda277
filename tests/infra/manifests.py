"""The manifests of infra/k8s, as they are written and as an overlay renders them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.programs import path_in_test, path_of

FOLDER = Path(__file__).parents[2] / "infra/k8s"
OVERLAYS = ("production", "trial")
#: Either renders the same.
RENDERER = ("kubectl", "kustomize") if path_of("kubectl") else ("kustomize", "build")


def written() -> list[dict[str, Any]]:
    """Every object of every file, without the files for kustomize."""
    paths = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
    return [found for path in paths for found in yaml.safe_load_all(path.read_text("utf-8"))]


def render(folder: str) -> list[dict[str, Any]]:
    """The objects of an overlay."""
    command = [path_in_test(RENDERER[0]), RENDERER[1], str(FOLDER / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of this kind by name."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The specification of each Deployment's pods, with its name."""
    for name, found in of_kind(objects, "Deployment").items():
        yield name, found["spec"]["template"]["spec"]


def container(objects: list[dict[str, Any]], deployment: str) -> dict[str, Any]:
    """The only container of this Deployment."""
    (found,) = dict(pods(objects))[deployment]["containers"]
    only: dict[str, Any] = found
    return only
