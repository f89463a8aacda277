"""Functions for the agent, with prepared answers.

The file is JSON::

    {"functions": [
      {"name": "get_weather",
       "description": "The weather in a city.",
       "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
       "takes_ms": 300,
       "answers": [{"when": {"city": "Oslo"}, "answer": {"sky": "snow"}},
                   {"answer": {"sky": "unknown"}}]}]}

``name``, ``description`` and ``parameters`` are declared to the model. A call is answered after ``takes_ms`` with the
first of ``answers`` whose ``when`` matches the arguments. ``when`` may omit arguments, and an answer without ``when``
always matches. An ``answer`` may be any JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from turngate.cli.errors import MISUSED, CommandError
from turngate.cli.messages import Message, function_result


class Answer(BaseModel):
    """One prepared answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: dict[str, Any] = Field(default_factory=dict)
    answer: Any

    def matches(self, arguments: Any) -> bool:
        """Whether the arguments contain every value in ``when``."""
        return isinstance(arguments, dict) and all(
            name in arguments and arguments[name] == value for name, value in self.when.items()
        )


class Function(BaseModel):
    """One function: its declaration to the model, and its prepared answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    parameters: dict[str, Any]
    #: Delay of the answer, in milliseconds.
    takes_ms: int = Field(0, ge=0, le=60_000)
    answers: tuple[Answer, ...] = ()

    def declaration(self) -> Message:
        """The entry for ``agent.think.functions``, without an endpoint, so that calls are sent to this client."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


class Functions(BaseModel):
    """The functions of one session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: tuple[Function, ...] = ()

    def declarations(self) -> list[Message]:
        """The declarations for `Settings`."""
        return [function.declaration() for function in self.functions]

    def results(self, request: Message) -> Iterable[tuple[float, Message]]:
        """One `FunctionCallResponse` for each call of a `FunctionCallRequest`, with its delay in seconds.

        The caller sends each after its delay.
        """
        for call in request["functions"]:
            name: str = call["name"]
            takes_ms = next((function.takes_ms for function in self.functions if function.name == name), 0)
            yield takes_ms / 1000, function_result(call["id"], name, self.answer(name, call["arguments"]))

    def answer(self, name: str, arguments: str) -> str:
        """The prepared answer as JSON, or ``{"error": …}`` if there is none for this call."""
        try:
            values = json.loads(arguments or "{}")
        except ValueError:
            return json.dumps({"error": "the arguments are not JSON"})
        for function in self.functions:
            if function.name == name:
                for candidate in function.answers:
                    if candidate.matches(values):
                        return json.dumps(candidate.answer)
                return json.dumps({"error": f"{name} has no answer for these arguments"})
        return json.dumps({"error": f"there is no function {name}"})


def load_functions(path: Path) -> Functions:
    """Read a functions file. Raises `CommandError`, which names the file and the first invalid field."""
    try:
        return Functions.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", MISUSED) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CommandError(f"{path}: {field + ': ' if field else ''}{first['msg']}", MISUSED) from None
