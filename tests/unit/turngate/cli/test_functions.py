from __future__ import annotations

import json
from pathlib import Path

import pytest

from turngate.cli.errors import MISUSED, CommandError
from turngate.cli.functions import Functions, load_functions

WEATHER = {
    "name": "get_weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "answers": [
        {"when": {"city": "Oslo"}, "answer": {"sky": "snow"}},
        {"when": {"city": "Lima", "unit": "C"}, "answer": 17},
    ],
}


@pytest.fixture
def functions() -> Functions:
    return Functions.model_validate(
        {"functions": [WEATHER, {"name": "ping", "parameters": {}, "takes_ms": 250, "answers": [{"answer": "pong"}]}]}
    )


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("get_weather", '{"city": "Oslo"}', {"sky": "snow"}),
        ("get_weather", '{"city": "Oslo", "unit": "F"}', {"sky": "snow"}),
        ("get_weather", '{"city": "Lima", "unit": "C"}', 17),
        ("get_weather", '{"city": "Lima"}', {"error": "get_weather has no answer for these arguments"}),
        ("get_weather", "[]", {"error": "get_weather has no answer for these arguments"}),
        ("get_weather", "{", {"error": "the arguments are not JSON"}),
        ("ping", "", "pong"),
        ("nobody", "{}", {"error": "there is no function nobody"}),
    ],
)
def test_the_first_matching_answer_is_used(functions: Functions, name: str, arguments: str, answer: object) -> None:
    assert json.loads(functions.answer(name, arguments)) == answer


def test_declarations_do_not_contain_the_answers(functions: Functions) -> None:
    assert functions.declarations()[0] == {key: WEATHER[key] for key in ("name", "description", "parameters")}


def test_every_call_of_a_request_gets_a_result(functions: Functions) -> None:
    calls = [{"id": f"c{n}", "name": "ping", "arguments": "{}"} for n in (1, 2)]
    results = list(functions.results({"type": "FunctionCallRequest", "functions": calls}))
    assert [(after_s, result["id"], result["name"], result["content"]) for after_s, result in results] == [
        (0.25, "c1", "ping", '"pong"'),
        (0.25, "c2", "ping", '"pong"'),
    ]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "Invalid JSON"),
        ('{"functions": [{"name": "f"}]}', "functions.0.parameters"),
        ('{"functions": [], "more": 1}', "more"),
        ('{"functions": [{"name": "f", "parameters": {}, "answers": [{"when": {}}]}]}', "functions.0.answers.0.answer"),
    ],
)
def test_a_wrong_file_is_reported_with_the_field(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "functions.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=named) as failure:
        load_functions(path)
    assert failure.value.exit_code == MISUSED
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"absent\.json: No such file"):
        load_functions(tmp_path / "absent.json")


def test_the_demos_file_is_valid() -> None:
    functions = load_functions(Path("turngate/cli/demo/functions.json"))
    assert json.loads(functions.answer("get_weather", '{"city": "Oslo"}'))["sky"] == "snow"
    assert "error" in json.loads(functions.answer("get_time", '{"city": "Paris"}'))
