"""Generates docs/turn.md from the table of the slot.

``python -m tools.docs.turn`` prints the page, `make docs` writes it, and `make check` compares it.
"""

from __future__ import annotations

from collections import defaultdict

from gateway.turn.slot_table import TRANSITIONS, Input, Next
from turngate.protocol.messages import Slot

_HEAD = """\
# The slot

<!-- Made by `make docs` from gateway/turn/slot_table.py. Do not edit. -->

Use this page to look up why a session's slot has a certain state, and which event changes it. The default conversation
can have one response at a time; the *slot* is the state of that one place. The gateway keeps it as a state machine,
with a table that defines every input in every state. *free* in the diagram is a choice: the slot becomes `requested`
while one of our requests is unresolved, otherwise `idle` (or `unconfigured` before the first configuration).
"""
_MARKS = {Next.STAY: "·", Next.FREE: "*free*", Next.ILLEGAL: "✗"}


def page() -> str:
    """The whole page, as Markdown with a Mermaid diagram."""
    return "\n".join([_HEAD, "```mermaid", *_diagram(), "```", "", _legend(), "", *_table(), ""])


def _diagram() -> list[str]:
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for slot, row in TRANSITIONS.items():
        for what, then in row.items():
            if then in (Next.STAY, Next.ILLEGAL) or then == slot:
                continue
            edges[slot.value, "free" if then is Next.FREE else str(then)].append(what.name.lower())
    lines = ["stateDiagram-v2", "    [*] --> unconfigured", "    state free <<choice>>"]
    lines += [
        f"    free --> {way}" for way in ("requested: a request is unresolved", "idle: configured", "unconfigured")
    ]
    for (start, end), names in edges.items():
        label = "disconnected" if end == Slot.CLOSED else ", ".join(names)
        lines.append(f"    {start} --> {end}: {label}")
    return [*lines, "    closed --> [*]"]


def _legend() -> str:
    return (
        "In the table, `·` leaves the state unchanged. `✗` is an action that the gateway may not take in that state: "
        "it raises `GateViolation`, and nothing is sent."
    )


def _table() -> list[str]:
    slots = list(Slot)
    lines = ["| input | " + " | ".join(slots) + " |", "|---|" + "---|" * len(slots)]
    for what in Input:
        cells = [_cell(TRANSITIONS[slot][what]) for slot in slots]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def _cell(then: Slot | Next) -> str:
    return f"`{then}`" if isinstance(then, Slot) else _MARKS[then]


if __name__ == "__main__":
    print(page(), end="")
