"""The console's files as a browser gets them."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

import turngate.console
from session_state.admin_key import AdminKey
from session_state.console_faults import Faults
from session_state.console_files import console_routes

GATEWAY = "wss://voice.example:8443"
_FOLDER = Path(turngate.console.__file__).parent
_FILES = sorted(path.name for path in _FOLDER.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))


@pytest.fixture
def browser() -> TestClient:
    routes = console_routes(GATEWAY, AdminKey(SecretStr("correct-horse-battery")), Faults(None))
    return TestClient(Starlette(routes=routes), base_url="http://console.example")


def test_the_root_leads_to_the_console_and_needs_no_key(browser: TestClient) -> None:
    answer = browser.get("/")
    assert (answer.url.path, answer.status_code) == ("/console/", 200)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert browser.get("/console").url.path == "/console/"


@pytest.mark.parametrize("name", _FILES)
def test_every_file_has_its_type_and_is_asked_for_again(browser: TestClient, name: str) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    answer = browser.get(f"/console/{name}")
    assert answer.content == (_FOLDER / name).read_bytes()
    assert answer.headers["content-type"].split(";")[0] == types[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    again = browser.get(f"/console/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser.get(f"/console/{name}", headers={"If-None-Match": '"another"'}).status_code == 200


def test_a_page_may_load_and_reach_only_what_is_its_own_and_the_gateway(browser: TestClient) -> None:
    for path in ("/console/", "/console/app.js", "/console/installation"):
        policy = dict(part.split(" ", 1) for part in browser.get(path).headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["connect-src"] == f"'self' {GATEWAY} https://voice.example:8443"
        assert policy["require-trusted-types-for"] == "'script'"
        assert {policy[kind] for kind in ("script-src", "style-src", "img-src")} == {"'self'"}
        assert {policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}


@pytest.mark.parametrize("name", ["__init__.py", "..%2f..%2fpyproject.toml", "nothing.js", "%2e%2e/console/app.py"])
def test_nothing_else_is_there(browser: TestClient, name: str) -> None:
    assert browser.get(f"/console/{name}").status_code == 404


def test_the_page_is_told_the_gateway_and_whether_it_needs_a_key(browser: TestClient) -> None:
    told = browser.get("/console/installation").json()
    assert told["gateway_url"] == GATEWAY
    assert "TURNGATE_ADMIN_KEY" in told["refused"]
    known = browser.get("/console/installation", headers={"Authorization": "Bearer correct-horse-battery"})
    assert known.json()["refused"] is None


def test_every_file_is_installed() -> None:
    """Whatever `pyproject.toml` does not list is missing in a wheel."""
    project = tomllib.loads((_FOLDER.parents[1] / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["turngate.console"]
    assert [name for name in _FILES if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_what_files_load_exists() -> None:
    for name in _FILES:
        text = (_FOLDER / name).read_text("utf-8")
        loaded = re.findall(r'(?:from|src=|href=)\s*"([^"#]+)"|addModule\("([^"]+)"\)|import\("\./([^"]+)"\)', text)
        for one in {part.removeprefix("./") for found in loaded for part in found if part}:
            assert one in _FILES or one.startswith("%"), f"{name} loads {one}"
