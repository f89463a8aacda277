"""Who may cut parts of a stack from the console."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from session_state.admin_key import AdminKey
from session_state.console_faults import OWN_PAGE, Faults, faults_route

KEY = "correct-horse-battery"
OWN = {OWN_PAGE: "1"}
ADMIN = {"Authorization": f"Bearer {KEY}"}


class Answering(Faults):
    """Faults without a process that carries them out."""

    def __init__(self) -> None:
        super().__init__(None)
        self.cuts: list[str] = []

    async def cut(self, part: str) -> dict[str, Any]:
        self.cuts.append(part)
        if part == "silent":
            raise TimeoutError
        return {"error": "there is none"} if part == "none" else {"done": "It is killed."}


def ask(faults: Faults, part: str, headers: dict[str, str], method: str = "POST") -> tuple[int, Any]:
    client = TestClient(Starlette(routes=[faults_route(faults, AdminKey(SecretStr(KEY)))]))
    answer = client.request(method, f"/console/faults/{part}", headers=headers)
    return answer.status_code, answer.json() if answer.status_code != 405 else None


def test_the_console_with_the_admin_key_may_cut() -> None:
    faults = Answering()
    assert ask(faults, "gateway", OWN | ADMIN) == (200, {"done": "It is killed."})
    assert ask(faults, "none", OWN | ADMIN) == (404, {"error": "there is none"})
    assert ask(faults, "silent", OWN | ADMIN)[0] == 503
    assert faults.cuts == ["gateway", "none", "silent"]


@pytest.mark.parametrize(
    ("headers", "method", "status"), [(ADMIN, "POST", 403), (OWN, "POST", 401), (OWN | ADMIN, "GET", 405)]
)
def test_nobody_else_may(headers: dict[str, str], method: str, status: int) -> None:
    """A page from elsewhere can send a request without a header of its own, or a link."""
    faults = Answering()
    assert ask(faults, "gateway", headers, method)[0] == status
    assert faults.cuts == []


def test_a_service_that_turngate_run_has_not_started_has_nothing_to_cut(tmp_path: Path) -> None:
    faults = Faults(None)
    assert asyncio.run(faults.parts()) == []
    assert ask(faults, "gateway", OWN | ADMIN)[0] == 404
    gone = Faults(tmp_path / "gone")
    assert asyncio.run(gone.parts()) == []
    assert ask(gone, "gateway", OWN | ADMIN)[0] == 503
