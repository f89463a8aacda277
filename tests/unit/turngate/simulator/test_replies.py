"""What the simulator replies, and which functions it calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.turngate.simulator.client import CITIES, CLOCK, Client, of, reply
from turngate.simulator.calls import Call, explicit_calls, guessed_calls, implied_calls
from turngate.simulator.frames import Event
from turngate.simulator.replies import ReplyPlan, UnansweredInput, plan_reply


def session(**fields: Any) -> Event:
    return {"instructions": "", "tools": [CITIES, CLOCK], "tool_choice": "auto", **fields}


def tool(name: str, **properties: Any) -> Event:
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": properties}}


def arguments(call: Call) -> Any:
    return orjson.loads(call.arguments)


class TestReplies:
    @pytest.mark.parametrize(
        ("heard", "said"),
        [
            (UnansweredInput(), "Hello! How can I help you?"),
            (UnansweredInput(resumed=True), "Are you still there?"),
            (UnansweredInput(texts=("Good morning",)), "You said: Good morning"),
            (UnansweredInput(texts=("one", "two")), "You said: one two"),
            (UnansweredInput(spoken=("1.8", "0.5")), "I heard you speak for 1.8 and 0.5 seconds."),
            (UnansweredInput(results=("rain", "sun")), "Here is what I found: rain and sun."),
            (UnansweredInput(results=("rain",), texts=("thanks",)), "Here is what I found: rain. You said: thanks"),
            (UnansweredInput(texts=("What is your prompt?",)), "I have no instructions."),
        ],
    )
    def test_what_is_said(self, heard: UnansweredInput, said: str) -> None:
        assert plan_reply(heard, session()) == ReplyPlan((said,))

    def test_instructions_are_quoted(self) -> None:
        heard = UnansweredInput(texts=("Tell me your instructions.",))
        assert plan_reply(heard, session(instructions="Be\nkind.")).outputs == ("My instructions are: Be\nkind.",)

    def test_a_name_in_the_instructions(self) -> None:
        assert plan_reply(UnansweredInput(), session(instructions="You are Ada, a guide.")).outputs == (
            "Hello, this is Ada. How can I help you?",
        )

    @pytest.mark.parametrize(
        "own", ['Say exactly "Good day"', "Now say: Good day", "Say exactly: Good day", "Please say “Good day”"]
    )
    def test_words_to_say(self, own: str) -> None:
        assert plan_reply(UnansweredInput(texts=("hello",)), session(), own).outputs == ("Good day",)

    def test_a_long_reply(self) -> None:
        (said,) = plan_reply(UnansweredInput(texts=("[say 25 words]",)), session()).outputs
        assert isinstance(said, str)
        assert len(said.split()) == 25

    @pytest.mark.parametrize(("text", "ending"), [("[fail]", "failed"), ("[incomplete] hello", "incomplete")])
    def test_endings(self, text: str, ending: str) -> None:
        assert plan_reply(UnansweredInput(texts=(text,)), session()).ending == ending

    def test_everything_since_the_last_reply_is_answered_once(self, client: Client) -> None:
        client.say("one")
        client.ask("two")
        assert reply(client.ask("three")) == "You said: three"

    def test_the_users_name_is_known_if_the_conversation_has_it(self, client: Client) -> None:
        assert reply(client.ask("What is my name?")) == "You have not told me your name."
        client.ask("My name is Ada.")
        client.ask("Good morning")
        assert reply(client.ask("And what's my name?")) == "Your name is Ada."

    def test_a_message_that_came_during_the_reply_is_answered_next(self, client: Client) -> None:
        client.say("[say 30 words]")
        client.send("response.create")
        client.until("response.output_text.delta")
        client.say("and this")
        client.settle()
        client.send("response.create")
        assert reply(client.settle()) == "You said: and this"


class TestCalls:
    def test_directives(self) -> None:
        calls, rest = explicit_calls('Please [call a {"x": "[1]", "y": [2]}] and [call b] now')
        assert calls == [Call("a", '{"x": "[1]", "y": [2]}'), Call("b", "{}")]
        assert rest == "Please  and  now"

    def test_an_open_bracket_is_text(self) -> None:
        assert explicit_calls('[call a {"x": 1}') == ([], '[call a {"x": 1}')

    def test_a_quote_in_a_string_does_not_end_it(self) -> None:
        assert explicit_calls(r'[call a {"x": "\"]"}]')[0] == [Call("a", r'{"x": "\"]"}')]

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("What is the weather in Oslo?", ["get_weather"]),
            ("Weather and time, please", ["get_weather", "get_time"]),
            ("Good morning", []),
        ],
    )
    def test_calls_from_plain_words(self, text: str, names: list[str]) -> None:
        assert [call.name for call in implied_calls(text, [CITIES, CLOCK])] == names

    def test_all_significant_words_must_occur(self) -> None:
        assert implied_calls("my order", [tool("findOrderStatus")]) == []
        assert len(implied_calls("the status of my orders", [tool("findOrderStatus")])) == 1

    @pytest.mark.parametrize(
        ("text", "cities"),
        [
            ("What is the weather in New York?", ["New York"]),
            ("The weather in Oslo and Rome", ["Oslo", "Rome"]),
            ("The weather in Oslo, Rome and Paris", ["Oslo", "Rome", "Paris"]),
            ('The weather in "new delhi"', ["new delhi"]),
            ("the weather in oslo", ["oslo"]),
            ("Oslo weather", ["Oslo"]),
            ("Can I have the weather in Oslo?", ["Oslo"]),
        ],
    )
    def test_cities(self, text: str, cities: list[str]) -> None:
        assert [arguments(call)["city"] for call in guessed_calls(text, CITIES)] == cities

    def test_every_kind_of_argument(self) -> None:
        asked = tool(
            "book",
            title={"type": "string"},
            unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
            count={"type": "integer"},
            price={"type": ["null", "number"]},
            sure={"type": "boolean"},
            tags={"type": "array", "items": {"type": "string"}},
            more={"type": "object"},
        )
        (call,) = guessed_calls('Book "a" "b", 3 for 2.5 in fahrenheit', asked)
        assert arguments(call) == {
            "title": "a",
            "unit": "fahrenheit",
            "count": 3,
            "price": 2.5,
            "sure": True,
            "tags": ["b"],
            "more": {},
        }

    def test_only_required_arguments_when_some_are(self) -> None:
        asked = tool("x", a={"type": "integer"}, b={"type": "integer"})
        asked["parameters"]["required"] = ["b"]
        assert arguments(guessed_calls("7", asked)[0]) == {"b": 7}

    def test_no_schema(self) -> None:
        assert guessed_calls("x", {"type": "function", "name": "x"}) == [Call("x", "{}")]


class TestToolChoice:
    def test_none(self) -> None:
        (said,) = plan_reply(UnansweredInput(texts=("[call get_time]",)), session(tool_choice="none")).outputs
        assert isinstance(said, str)

    def test_required(self) -> None:
        (call,) = plan_reply(UnansweredInput(texts=("Good morning",)), session(tool_choice="required")).outputs
        assert isinstance(call, Call)

    def test_a_function(self) -> None:
        choice = {"type": "function", "name": "get_time"}
        (call,) = plan_reply(UnansweredInput(texts=("weather in Oslo",)), session(tool_choice=choice)).outputs
        assert call == Call("get_time", "{}")

    def test_a_directive_for_an_unknown_function(self) -> None:
        assert plan_reply(UnansweredInput(texts=("[call nope]",)), session()).outputs == (
            "I have no function named nope.",
        )

    def test_results_are_not_asked_for_again(self) -> None:
        assert plan_reply(UnansweredInput(texts=("weather in Oslo",), results=("rain",)), session()).outputs == (
            "Here is what I found: rain. You said: weather in Oslo",
        )

    def test_no_parallel_calls(self) -> None:
        outputs = plan_reply(
            UnansweredInput(texts=("weather in Oslo and Rome",)), session(parallel_tool_calls=False)
        ).outputs
        assert len(outputs) == 1

    def test_through_the_conversation(self, client: Client) -> None:
        client.configure(tools=[CITIES])
        events = client.ask("What is the weather in Oslo and in Rome?")
        done = of(events, "response.function_call_arguments.done")
        assert [orjson.loads(event["arguments"]) for event in done] == [{"city": "Oslo"}, {"city": "Rome"}]
