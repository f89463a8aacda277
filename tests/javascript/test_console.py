"""The console: its types, its modules without a browser, and its pages in a real one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import pytest_asyncio

from tests.javascript.node import run
from tests.programs import path_in_test
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HERE = Path(__file__).parent
_WAV = _HERE.parents[1] / "turngate/cli/demo/hello-16k.wav"
KEY = "correct-horse-battery"
API_KEY = "key-of-the-page"

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
    return await run(
        "console/in_chromium.mjs", path_in_test("chromium"), stack.session_state_url, str(_WAV), seconds=180
    )


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
    """After its connections were cut and its gateway was killed: the conversation is the same."""
    assert _of(seen, "moved") == [True]
    assert "for the result of function call" in _of(seen, "calls")[0][0]
    assert _of(seen, "spoken")[0].startswith("The user ")
    assert _of(seen, "filtered") == ["No session matches."]
    assert _of(seen, "found") == [True]


async def test_an_opened_session_shows_what_was_said_as_text_and_what_it_has_used(seen: Seen) -> None:
    (said,) = _of(seen, "said")
    assert [line for line in said if line.startswith("Calls ask_someone") and "<img src=x" in line]
    assert [line for line in said if line.startswith("Result of ask_someone") and "by a person" in line]
    assert {"Agent", "User"} <= {line[: len(who)] for line in said for who in ("Agent", "User")}
    assert _of(seen, "markup") == [0]
    assert "From now on, answer in one sentence." in _of(seen, "configuration")[0]["instructions"]
    assert re.search(r"[1-9][\d,]* tokens in \(text .*\), [1-9][\d,]* out \(text .*\)", _of(seen, "facts")[0])
    assert re.fullmatch(r"[1-9][\d.]*K? / [1-9][\d.]*K?", _of(seen, "used")[0])


async def test_a_function_without_prepared_answers_is_answered_by_hand_and_nothing_becomes_markup(seen: Seen) -> None:
    assert _of(seen, "images") == [0]


async def test_a_message_is_shown_as_it_was_on_the_wire(seen: Seen) -> None:
    assert _of(seen, "message") == [{"type": "UpdatePrompt", "prompt": "From now on, answer in one sentence."}]


async def test_the_agent_is_silent_at_once_when_the_user_speaks(seen: Seen) -> None:
    """Within 100 ms of `UserStartedSpeaking`, measured at what goes to the loudspeaker."""
    (milliseconds,) = _of(seen, "quiet")
    assert milliseconds < 100
    ((said,),) = _of(seen, "heard")
    assert said.startswith("The user interrupted the agent: ")


async def test_a_microphone_that_is_closed_or_not_needed_any_more_is_not_left_open(seen: Seen) -> None:
    """Also after two clicks. If the conversation has ended meanwhile, the program waits until it is closed."""
    assert _of(seen, "open") == [[2, 0]]


async def test_a_thousand_sessions_do_not_make_the_page_stutter(seen: Seen) -> None:
    (frames,) = _of(seen, "frames")
    assert frames["reads"] >= 3
    # Each time that it is read would show. One may come from what else this machine does.
    assert frames["longest"][1] < 100, frames


async def test_a_session_near_a_limit_is_found_and_its_row_says_which(seen: Seen) -> None:
    (row,) = _of(seen, "near")
    assert "session-999" in row
    reasons = "ends in 30.0 s, and has 90 % of the open requests that it may have"
    assert f"Near a limit: it {reasons}." in row


@pytest_asyncio.fixture(loop_scope="session")
async def locked(redis_url: str) -> AsyncIterator[Stack]:
    """A stack with an admin key, and an API key of its clients."""
    env = {
        "TURNGATE_REDIS_PREFIX": "locked:",
        "TURNGATE_ADMIN_KEY": KEY,
        "TURNGATE_API_KEYS": API_KEY,
        "TURNGATE_TOKEN_SECRET": "a-secret-that-signs-the-tokens-of-this-test",
    }
    async with Stack(redis_url=redis_url, pace=0.2, translators=1, env=env) as running:
        yield running


async def test_keys_are_asked_for_and_taken_and_put_nowhere(locked: Stack) -> None:
    """The gateway gets the API key in exchange for a token, and the WebSocket only that."""
    seen = await run(
        "console/in_chromium.mjs", path_in_test("chromium"), locked.session_state_url, str(_WAV), KEY, API_KEY
    )
    assert "TURNGATE_ADMIN_KEY" in _of(seen, "asked")[0]
    assert _of(seen, "admitted") == [True]
    # The browser itself reports answers 401, and the 404 for a session with the malformed name.
    assert [complaint for complaint in _of(seen, "complaint") if not re.search("40[14]", complaint)] == []
    ((scheme, token),) = _of(seen, "protocols")
    assert (scheme, token.count(".")) == ("bearer", 2)
    ((local, session, cookie, address, markup),) = _of(seen, "stored")
    assert (local, session, cookie) == (0, 0, "")
    public = [address, markup, *_of(seen, "socket"), *_of(seen, "requested")]
    assert not [text for text in public if any(secret in text for secret in (KEY, API_KEY, token))]
    assert _of(seen, "malformed") == [1]
