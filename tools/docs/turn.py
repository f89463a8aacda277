"""The page about the turn, made from the turn table itself: it cannot drift from the code.

``python -m tools.docs.turn`` prints it; `make docs` writes it to docs/turn.md, and `make check` compares.
"""

from __future__ import annotations

from collections import defaultdict

from gateway.turn.slot import TRANSITIONS, Input, Next
from turngate.protocol.messages import Slot

_HEAD = """\
# The turn

<!-- Made by `make docs` from gateway/turn/slot.py. Do not edit. -->

The default conversation has one place for a response, the *slot*. The gateway that holds the sockets keeps its state
as a table: every slot × every input is decided. *free* in the diagram asks one more question: while a request of ours
is unresolved the slot goes back to `requested`, otherwise to `idle` (or `unconfigured` before the first configuration).
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
        "In the table, `·` changes nothing (on purpose), `✗` is what this gateway itself may not do: "
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
