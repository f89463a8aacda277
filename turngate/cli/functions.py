"""Functions for the agent, with their answers written down beforehand.

The file is JSON::

    {"functions": [
      {"name": "get_weather",
       "description": "The weather in a city.",
       "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
       "takes_ms": 300,
       "answers": [{"when": {"city": "Oslo"}, "answer": {"sky": "snow"}},
                   {"answer": {"sky": "unknown"}}]}]}

``name``, ``description`` and ``parameters`` go to the model as they are. Of ``answers``, the first whose ``when``
agrees with the call's arguments is given, ``takes_ms`` after the call; ``when`` need not name every argument, and one
without ``when`` always agrees. An ``answer`` may be any JSON.
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

    def fits(self, arguments: Any) -> bool:
        """Whether the arguments contain everything that ``when`` asks for."""
        return isinstance(arguments, dict) and all(
            name in arguments and arguments[name] == value for name, value in self.when.items()
        )


class Function(BaseModel):
    """One function: what the model is told, and what it gets back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    parameters: dict[str, Any]
    #: How long the function pretends to work, in milliseconds.
    takes_ms: int = Field(0, ge=0, le=60_000)
    answers: tuple[Answer, ...] = ()

    def declaration(self) -> Message:
        """The entry for ``agent.think.functions``. It names no endpoint, so that the call comes to this client."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


class Functions(BaseModel):
    """All functions of one conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: tuple[Function, ...] = ()

    def declarations(self) -> list[Message]:
        """What goes into `Settings`."""
        return [function.declaration() for function in self.functions]

    def results(self, request: Message) -> Iterable[tuple[float, Message]]:
        """One `FunctionCallResponse` per call of a `FunctionCallRequest`, in its order.

        The caller sends each so many seconds after the request.
        """
        for call in request["functions"]:
            name: str = call["name"]
            takes_ms = next((function.takes_ms for function in self.functions if function.name == name), 0)
            yield takes_ms / 1000, function_result(call["id"], name, self.answer(name, call["arguments"]))

    def answer(self, name: str, arguments: str) -> str:
        """The prepared answer as JSON, or ``{"error": …}`` for the model when there is none for this call."""
        try:
            values = json.loads(arguments or "{}")
        except ValueError:
            return json.dumps({"error": "the arguments are not JSON"})
        for function in self.functions:
            if function.name == name:
                for candidate in function.answers:
                    if candidate.fits(values):
                        return json.dumps(candidate.answer)
                return json.dumps({"error": f"{name} has no answer for these arguments"})
        return json.dumps({"error": f"there is no function {name}"})


def load_functions(path: Path) -> Functions:
    """Read a functions file. Raises `CommandError`, which names the file and the first field that is wrong."""
    try:
        return Functions.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", MISUSED) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CommandError(f"{path}: {field + ': ' if field else ''}{first['msg']}", MISUSED) from None
