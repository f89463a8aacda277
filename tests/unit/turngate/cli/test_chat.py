from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from tests.unit.turngate.cli.chatting import FUNCTIONS, chat
from tests.unit.turngate.cli.fake_gateway import FakeGateway
from turngate.cli.chat import UnknownCommandError, _chat
from turngate.cli.errors import FAILED, CommandError
from turngate.cli.functions import Functions
from turngate.cli.messages import settings


async def test_a_script_waits_for_each_reply(server: FakeGateway) -> None:
    code, shown = await chat(server.url, "one", "", "two")
    assert code == 0
    assert shown == [
        "server  SettingsApplied",
        "you  one",
        "agent  You said: one",
        "you  two",
        "agent  You said: two",
    ]
    assert server.paths == ["/openai?resumable=1"]


async def test_settings_declare_the_prompt_and_the_functions(server: FakeGateway) -> None:
    await chat(server.url)
    think = server.of_type("Settings")[0]["agent"]["think"]
    assert think["prompt"] == "Be brief."
    assert think["functions"] == FUNCTIONS.declarations()


async def test_a_script_waits_for_the_reply_to_a_function_result(server: FakeGateway) -> None:
    code, shown = await chat(server.url, "weather in Oslo?")
    assert code == 0
    assert shown[-3:] == [
        'calls  get_weather {"city": "Oslo"}',
        'answers  get_weather {"sky": "snow"}',
        'agent  The result is {"sky": "snow"}',
    ]
    assert server.of_type("FunctionCallResponse") == [
        {"type": "FunctionCallResponse", "id": "c-get_weather", "name": "get_weather", "content": '{"sky": "snow"}'}
    ]


async def test_a_slow_function_does_not_delay_a_fast_one(server: FakeGateway) -> None:
    code, shown = await chat(server.url, "weather and time in Oslo?")
    assert code == 0
    assert [answer["name"] for answer in server.of_type("FunctionCallResponse")] == ["get_weather", "get_time"]
    assert shown[-1] == 'agent  The result is "noon"'


async def test_prompt_is_updated_before_the_next_line_is_read(server: FakeGateway) -> None:
    updated: list[bool] = []

    async def prompt_and_talk() -> AsyncIterator[str]:
        yield "/prompt Rhyme."
        updated.append(server.prompt_updated)
        yield "one"

    code, shown = await chat(server.url, given=prompt_and_talk())
    assert code == 0
    assert updated == [True]
    assert shown[1:] == ["server  PromptUpdated", "you  one", "agent  You said: one"]
    assert server.of_type("UpdatePrompt") == [{"type": "UpdatePrompt", "prompt": "Rhyme."}]


async def test_quit_ends_a_script(server: FakeGateway) -> None:
    code, _ = await chat(server.url, "one", "/quit", "two")
    assert code == 0
    assert [message["content"] for message in server.of_type("InjectUserMessage")] == ["one"]


async def test_an_error_ends_a_script(server: FakeGateway) -> None:
    code, shown = await chat(server.url, "fail", "two")
    assert code == FAILED
    assert shown[-1] == "error  FAILED_TO_THINK: nobody thinks"
    assert len(server.of_type("InjectUserMessage")) == 1


async def test_a_missing_reply_is_reported(server: FakeGateway) -> None:
    with pytest.raises(CommandError, match=r"no reply to 'say nothing' within 0\.05 s"):
        await chat(server.url, "say nothing", timeout_s=0.05)


async def test_a_lost_connection_is_reported_with_its_code(server: FakeGateway) -> None:
    with pytest.raises(CommandError, match=r"closed the connection \(code 1011: overload\)"):
        await chat(server.url, "hang up")


@pytest.mark.parametrize("line", ["/prompt", "/what now"])
async def test_an_unknown_command_ends_a_script(server: FakeGateway, line: str) -> None:
    with pytest.raises(UnknownCommandError, match="/prompt"):
        await chat(server.url, line)


async def test_an_unknown_command_does_not_end_an_interactive_session(server: FakeGateway) -> None:
    code, shown = await chat(server.url, "/what now", interactive=True)
    assert code == 0
    assert shown[-1] == "/what is no command; there are /prompt TEXT and /quit"


async def test_an_interactive_session_notices_a_closed_connection_while_waiting_for_input(server: FakeGateway) -> None:
    async def hang_up_and_wait() -> AsyncIterator[str]:
        yield "hang up"
        await asyncio.Event().wait()

    with pytest.raises(CommandError, match="1011"):
        await _chat(
            server.url,
            "/openai",
            settings(),
            Functions(),
            lines=hang_up_and_wait(),
            interactive=True,
            timeout_s=10,
            console=Console(file=io.StringIO()),
        )


@pytest.mark.parametrize(
    ("interactive", "expected"), [(True, ["agent  You said: one"]), (False, ["you  one", "agent  You said: one"])]
)
async def test_typed_text_is_not_shown_again(server: FakeGateway, interactive: bool, expected: list[str]) -> None:
    replied = asyncio.Event()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            if "You said" in text:
                replied.set()
            return super().write(text)

    async def type_and_read() -> AsyncIterator[str]:
        yield "one"
        await replied.wait()

    screen = Screen()
    console = Console(file=screen, color_system=None)
    lines = type_and_read()
    await _chat(
        server.url,
        "/openai",
        settings(),
        Functions(),
        lines=lines,
        interactive=interactive,
        timeout_s=10,
        console=console,
    )
    assert [line.strip() for line in screen.getvalue().splitlines()][-len(expected) :] == expected
    assert screen.getvalue().count("one") == len(expected)


async def test_refused_settings_are_reported(server: FakeGateway) -> None:
    server.settings_error = "INVALID_SETTINGS"
    with pytest.raises(CommandError, match="INVALID_SETTINGS: no such thing"):
        await chat(server.url, "one")


async def test_a_refused_connection_is_one_line(unused_port: int) -> None:
    with pytest.raises(CommandError) as failure:
        await chat(f"ws://127.0.0.1:{unused_port}")
    assert str(failure.value).endswith("connection refused; is `turngate run` running?")
    assert "\n" not in str(failure.value)


async def test_a_proxy_is_not_used_for_this_machine(
    server: FakeGateway, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{unused_port}")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    code, _ = await chat(server.url, "one")
    assert code == 0


async def test_a_wrong_address_names_the_option() -> None:
    with pytest.raises(CommandError, match="--url http://x: not a WebSocket address"):
        await chat("http://x")
