"""What running processes log: declared events with their declared fields, and the session in all lines about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.collector import collector
from tests.end_to_end.client import settings
from tests.end_to_end.line import line
from tools.docs.logs import PACKAGES, catalogues
from turngate.local.stack import Stack
from turngate.process.log_event import LogEvent

pytestmark = pytest.mark.asyncio(loop_scope="session")

_EVENTS = {event.name: event for events in catalogues().values() for event in events}
#: What every line has, and every line of a gateway.
_COMMON = {"event", "level", "timestamp", "logger", "service"}
#: What lines have that are logged in the work for a session.
_CONTEXT = {"session", "trace_id"}


def differences(logged: dict[str, Any], event: LogEvent[...]) -> set[str]:
    """The fields that a line lacks, or that are not declared. What all lines of the work for a session have is
    allowed."""
    common = _COMMON | ({"gateway"} if logged["service"] == "gateway" else set())
    return {name for name in set(logged) ^ {*common, *event.fields} if name not in _CONTEXT or name in event.fields}


def written(folder: Path) -> list[dict[str, Any]]:
    """Every line of every process."""
    texts = (text for path in folder.glob("*.log") for text in path.read_text("utf-8").splitlines())
    return [orjson.loads(text) for text in texts if text.startswith("{")]


@pytest.mark.parametrize(
    ("env", "event", "level"),
    [
        ({"TURNGATE_SIMULATOR_FAULT": "refuse_key"}, "upstream_refuses", "error"),
        ({"TURNGATE_UPSTREAM_URL": "ws://127.0.0.1:9"}, "upstream_given_up", "warning"),
    ],
)
async def test_somebody_is_called_for_an_upstream_that_refuses_and_not_for_one_that_is_away(
    tmp_path: Path, env: dict[str, str], event: str, level: str
) -> None:
    patience = {"TURNGATE_UPSTREAM_CONNECT_TIMEOUT_MS": "300"}
    away = "TURNGATE_UPSTREAM_URL" in env
    async with (
        Stack(translators=1, simulator=not away, log_folder=tmp_path, env={**patience, **env}) as stack,
        line(stack) as client,
    ):
        error = await client.until("Error")
    ends = [one for one in written(tmp_path) if one["event"].startswith(("upstream_refuses", "upstream_given_up"))]
    assert [(one["event"], one["level"], one["code"]) for one in ends] == [(event, level, error["code"])]


async def test_lines_are_declared_events_and_those_about_a_session_name_it(redis_url: str, tmp_path: Path) -> None:
    url = f"{redis_url.rpartition('/')[0]}/3"
    name = str(uuid4())
    async with Stack(redis_url=url, translators=1, log_folder=tmp_path, env={"TURNGATE_LOG_LEVEL": "debug"}) as stack:
        async with line(stack, session=name) as first:
            session = (await first.until("Welcome"))["request_id"]
            await first.say(**settings())
            await first.until("SettingsApplied")
            first.cut()
        async with line(stack, session=name) as second:
            await second.until("Welcome")
            await second.say(type="InjectUserMessage", content="Hello.")
            await second.until("AgentAudioDone")
    lines = written(tmp_path)
    ours = [one for one in lines if one["logger"].split(".")[0] in PACKAGES]
    assert [one for one in ours if one["event"] not in _EVENTS] == []
    assert [one for one in ours if differences(one, _EVENTS[one["event"]])] == []
    assert {one["level"] == _EVENTS[one["event"]].level for one in ours} == {True}
    of_session = [one["event"] for one in ours if one.get("session") == session]
    wanted = ["session_started", "client_lost", "client_returned", "session_ended"]
    assert [event for event in of_session if event in wanted] == wanted
    assert {one["service"] for one in ours} == {"gateway", "translator", "session-state", "simulator"}


async def test_lines_of_a_turn_name_its_trace(redis_url: str, tmp_path: Path) -> None:
    url = f"{redis_url.rpartition('/')[0]}/3"
    name = str(uuid4())
    with collector() as traces:
        async with Stack(redis_url=url, translators=1, log_folder=tmp_path, env=traces.env) as stack:
            async with line(stack, session=name) as first:
                await first.until("Welcome")
                await first.say(**settings())
                await first.until("SettingsApplied")
                await first.say(type="InjectUserMessage", content="[say 60 words]")
                await first.until("AgentStartedSpeaking")
                first.cut()
            async with line(stack, session=name) as second:
                await second.until("AgentAudioDone")
                await second.socket.close(1000)
    lines = {one["event"]: one for one in written(tmp_path) if one.get("session")}
    (turn,) = {span.trace for span in traces.spans if span.name == "invoke_agent"}
    assert lines["client_lost"]["trace_id"] == lines["client_returned"]["trace_id"] == turn
    assert "trace_id" not in lines["session_started"], "no turn had begun"
