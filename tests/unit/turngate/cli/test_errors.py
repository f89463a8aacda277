from __future__ import annotations

import pytest
import typer

from turngate.cli.errors import FAILED, MISUSED, CommandError, refusal, run


@pytest.mark.parametrize("error", [CommandError("no luck"), CommandError("bad option", MISUSED)])
def test_an_error_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str], error: CommandError) -> None:
    async def command() -> int:
        raise error

    with pytest.raises(typer.Exit) as left:
        run(command())
    assert left.value.exit_code == error.exit_code
    assert capsys.readouterr().err == f"turngate: {error}\n"


@pytest.mark.parametrize("code", [0, FAILED])
def test_the_exit_code_is_the_commands(code: int) -> None:
    async def command() -> int:
        return code

    with pytest.raises(typer.Exit) as left:
        run(command())
    assert left.value.exit_code == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "no such path"}', "HTTP 404: no such path"),
        (b'{"detail": 1}', "HTTP 404"),
        (b"[]", "HTTP 404"),
        (b"<html>", "HTTP 404"),
        (b"", "HTTP 404"),
        (None, "HTTP 404"),
    ],
)
def test_a_refusal_contains_the_error_of_its_body(body: bytes | None, words: str) -> None:
    assert refusal(404, body) == words
