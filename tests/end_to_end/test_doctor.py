"""``turngate doctor`` against a real Redis, the simulator, and what does not answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from turngate.local.ports import free_port
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SECRETS = {"OPENAI_API_KEY": "sk-secret-1", "TURNGATE_API_KEYS": "secret-2", "TURNGATE_TOKEN_SECRET": "secret-3" * 8}


async def doctor(**env: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Its exit code, its findings by check, and all that it printed."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("TURNGATE_", "OPENAI_"))}
    command = (sys.executable, "-m", "turngate.cli.app", "doctor", "--json")
    process = await asyncio.create_subprocess_exec(
        *command, env=quiet | env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, {found["check"].split(" at ")[0]: found for found in json.loads(printed)}, str(printed)


async def test_what_works_is_said_to_work_and_no_secret_is_said(stack: Stack) -> None:
    upstream = stack.simulator_url.replace("http", "ws") + "/v1/realtime"
    code, found, printed = await doctor(
        TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_UPSTREAM_URL=upstream, TURNGATE_GATEWAY_HOST="0.0.0.0", **_SECRETS
    )
    assert code == 0
    assert {name for name, one in found.items() if one["level"] == "error"} == set()
    assert (found["Redis"]["level"], found["upstream"]["level"], found["API keys"]["level"]) == ("ok", "ok", "ok")
    assert not any(secret in printed for secret in _SECRETS.values())


async def test_what_does_not_answer_is_an_error_with_what_to_do() -> None:
    nobody = free_port()
    code, found, printed = await doctor(
        TURNGATE_REDIS_URL=f"redis://user:secret-4@127.0.0.1:{nobody}/0",
        TURNGATE_UPSTREAM_URL=f"ws://127.0.0.1:{nobody}/v1/realtime?key=secret-5",
    )
    assert code == 1
    for check in ("Redis", "upstream"):
        assert found[check]["level"] == "error"
        assert found[check]["remedy"]
    assert "secret" not in printed


async def test_a_setting_that_is_wrong_is_an_error_and_the_others_are_looked_at(stack: Stack) -> None:
    code, found, _ = await doctor(
        TURNGATE_REDIS_URL=stack.redis_url, TURNGATE_SESSIONS_MAX="many", TURNGATE_SESSION_MAX="10"
    )
    assert code == 1
    assert "TURNGATE_SESSIONS_MAX" in found["settings of the gateway"]["found"]
    assert found["settings of the translator"]["level"] == "ok"
    assert "did you mean" in found["settings"]["found"]
    assert found["Redis"]["level"] == "ok"
