"""What needs a free turn is built in two functions of one module, so that one check guards it all, and where a new
connection is brought to the configuration in force."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_BUILDERS = {"session_update", "response_create"}
_EVENTS = {"session.update", "response.create"}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("gateway", "translator", "session_state", "turngate/bus", "turngate/process"):
        for path in (_ROOT / package).rglob("*.py"):
            yield path.relative_to(_ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def _builds(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in _BUILDERS


def test_three_functions_build_what_needs_a_free_turn() -> None:
    assert {
        (module, function.name)
        for module, tree in _modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(_builds(inside) for inside in ast.walk(function))
    } == {
        ("gateway/conversation/on_command.py", "_send_configuration"),
        ("gateway/conversation/on_command.py", "_send_response"),
        # On a connection on which no response runs yet.
        ("gateway/continuity/restore.py", "begin"),
    }


def test_nobody_writes_such_an_event_by_hand() -> None:
    assert not [
        (module, node.lineno)
        for module, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in _EVENTS
    ]
