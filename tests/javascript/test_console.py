"""The console: its types, its modules without a browser, and its pages in a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from pydantic import RedisDsn, SecretStr

from session_state.app import wire
from session_state.config import SessionStateSettings
from tests.javascript.node import run
from tests.programs import path_in_test
from turngate.bus.bus import Bus
from turngate.local.ports import free_port
from turngate.local.stack import Stack
from turngate.process.service import serve
from turngate.process.supervisor import Supervisor

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HERE = Path(__file__).parent
_WAV = _HERE.parents[1] / "turngate/cli/demo/hello-16k.wav"
KEY = "correct-horse-battery"

Seen = list[dict[str, Any]]


async def _passes(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=_HERE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_types_are_right() -> None:
    await _passes("node_modules/.bin/tsc", "-p", "tsconfig.json")


async def test_modules_without_a_page() -> None:
    await _passes("node", "--test", "console/")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seen(stack: Stack) -> Seen:
    """What a person sees who uses every page, and what the browser complains about."""
    return await run("console/in_chromium.mjs", path_in_test("chromium"), stack.session_state_url, str(_WAV), seconds=180)


def _of(seen: Seen, name: str) -> list[Any]:
    return [one[name] for one in seen if name in one]


async def test_the_browser_complains_about_nothing_and_nothing_is_loaded_from_elsewhere(seen: Seen) -> None:
    """A violation of the content security policy is a complaint."""
    assert _of(seen, "complaint") == []
    assert _of(seen, "elsewhere") == []
    assert _of(seen, "ended") == [True]


async def test_every_page_is_accessible_in_light_and_dark_and_on_a_phone(seen: Seen) -> None:
    assert _of(seen, "violation") == []
    assert _of(seen, "accessible") == ["begin", "conversation", "fleet", "turn"]


async def test_a_change_during_a_reply_is_seen_as_held_and_then_as_applied(seen: Seen) -> None:
    (headline,) = _of(seen, "headline")
    assert headline == "The agent has the turn. One request is held."
    (requests,) = _of(seen, "requests")
    about = [said for said in requests if "a change of the configuration" in said and said.startswith("Request ")]
    held = next(said for said in about if "was held" in said)
    number = held.split(",")[0]
    mine = [said for said in about if said.startswith(number + ",")]
    assert "because the turn was not free" in mine[0]
    assert "was settled" in mine[-1]
    assert "the model has confirmed it" in mine[-1]
    (agent,) = _of(seen, "agent")
    assert any("A response that turngate asked for was active" in said for said in agent)
    (messages,) = _of(seen, "messages")
    assert any(said.startswith("This page received PromptUpdated") for said in messages)


async def test_a_mark_is_explained_to_who_points_at_it_and_who_uses_the_keyboard(seen: Seen) -> None:
    assert "was held" in _of(seen, "hovered")[0]
    (found,) = (one for one in seen if "keyboard" in one)
    assert found["keyboard"][0] == "item connected lasts"
    begins = "The client has been connected at gateway "
    assert [said.startswith(begins) for said in (found["keyboard"][1], found["explained"])] == [True, True]


async def test_a_lane_is_exported(seen: Seen) -> None:
    (svg,), (exported,) = _of(seen, "svg"), _of(seen, "json")
    assert svg["name"].endswith("-requests.svg")
    assert ElementTree.fromstring(svg["text"]).tag == "{http://www.w3.org/2000/svg}svg"
    (lane,) = json.loads(exported["text"])["lanes"]
    assert lane["lane"] == "requests"
    kinds = [item["kind"] for item in lane["items"]]
    assert {"held", "settled"} <= set(kinds)


async def test_functions_are_answered_speech_is_heard_and_the_fleet_is_searched(seen: Seen) -> None:
    """After its connection was cut: the conversation is the same."""
    assert "for the result of function call" in _of(seen, "calls")[0][0]
    assert _of(seen, "spoken")[0].startswith("The user ")
    assert _of(seen, "filtered") == ["No session matches."]
    assert _of(seen, "found") == [True]


@pytest_asyncio.fixture(loop_scope="session")
async def locked(stack: Stack) -> AsyncIterator[str]:
    """Where a session-state process with an admin key listens."""
    port, supervisor = free_port(), Supervisor()
    settings = SessionStateSettings(
        redis_url=RedisDsn(stack.redis_url), session_state_port=port, admin_key=SecretStr(KEY)
    )
    serving = asyncio.create_task(serve(wire(settings, Bus.connect(settings)), supervisor))
    yield f"http://127.0.0.1:{port}"
    supervisor.request_stop()
    await serving


async def test_an_admin_key_is_asked_for_and_taken(locked: str) -> None:
    seen = await run("console/in_chromium.mjs", path_in_test("chromium"), locked, str(_WAV), KEY)
    assert "TURNGATE_ADMIN_KEY" in _of(seen, "asked")[0]
    assert _of(seen, "admitted") == [True]
    # The browser itself reports the answer 401.
    assert all("401" in complaint for complaint in _of(seen, "complaint"))
