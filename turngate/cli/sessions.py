"""``turngate sessions``: shows the owner, the slot and the held requests of every live session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from turngate.cli.errors import run
from turngate.cli.fetch import fetch_json

DEFAULT_URL = "http://127.0.0.1:8082"
WATCH_S = 0.5
#: Sessions that are fetched at a time: the most that session-state sends.
_PAGE = 1_000

_SLOT_STYLES = {
    "unconfigured": "dim",
    "idle": "green",
    "promised": "yellow",
    "requested": "yellow",
    "active": "bold red",
    "cancelling": "magenta",
    "reconnecting": "magenta",
    "closed": "dim",
}

#: A session in the form of session-state's admin HTTP.
Session = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin HTTP of a session-state process, and its key."""

    url: str
    key: str | None = None


def sessions(
    session: Annotated[str | None, typer.Argument(help="Only this session.")] = None,
    url: Annotated[str, typer.Option(help="The admin HTTP of a session-state process.")] = DEFAULT_URL,
    key: Annotated[
        str | None, typer.Option(envvar="TURNGATE_ADMIN_KEY", help="Its admin key.", show_default=False)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Only those that are held, long (held for 5 s), near (a limit), parked, or reconnecting."),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Only those with these words: a gateway, a slot, a server.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh the table until Ctrl-C.")] = False,
) -> None:
    """Show every live session: its gateway and connections, its slot, its open function calls and held requests."""
    wanted = {"only": only, "search": search}
    query = {name: value for name, value in wanted.items() if value}
    run(_sessions(Admin(url.rstrip("/"), key), session, query, as_json=as_json, watch=watch, console=Console()))


async def _sessions(
    admin: Admin,
    session: str | None,
    query: Mapping[str, str] = MappingProxyType({}),
    *,
    as_json: bool,
    watch: bool,
    console: Console,
) -> int:
    """``query`` has the filters of ``GET /sessions``."""
    found, missing = await _fetch(admin, session, query)
    if as_json:
        unreachable = {"unreachable": missing} if missing else {}
        typer.echo(json.dumps({"sessions": found} | unreachable if session is None else found[0], indent=2))
    elif watch:
        with Live(_view(found, missing), console=console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(WATCH_S)
                live.update(_view(*await _fetch(admin, session, query)), refresh=True)
    else:
        console.print(_view(found, missing))
    return 0


async def _fetch(admin: Admin, session: str | None, query: Mapping[str, str]) -> tuple[list[Session], list[str]]:
    """The sessions, and the Redis servers whose sessions are missing."""
    if session is not None:
        return [await fetch_json(f"{admin.url}/sessions/{session}", option="--url", key=admin.key)], []
    found: list[Session] = []
    missing: list[str] = []
    page = {**query, "limit": str(_PAGE)}
    while True:
        fetched = await fetch_json(f"{admin.url}/sessions?{urlencode(page)}", option="--url", key=admin.key)
        found += fetched["sessions"]
        missing += [server for server in fetched.get("unreachable", ()) if server not in missing]
        if "next" not in fetched:
            return found, missing
        page["cursor"] = fetched["next"]


def _view(found: Sequence[Session], missing: Sequence[str]) -> Group:
    """The sessions as a table, and the Redis servers whose sessions are ``missing``."""
    lines = [Text(f"Redis {server} does not answer: its sessions are missing", "yellow") for server in missing]
    return Group(table(found), *lines)


def table(found: Sequence[Session]) -> Table:
    """The sessions as a table, one row each."""
    rows = Table(
        box=SIMPLE_HEAD, title=f"{len(found)} live session{'' if len(found) == 1 else 's'}", title_justify="left"
    )
    rows.add_column("session", no_wrap=True)
    rows.add_column("turn", overflow="fold")
    rows.add_column("waiting", overflow="fold")
    for one in found:
        rows.add_row(_home(one), _turn(one), _waiting(one))
    return rows


def _home(one: Session) -> Text:
    """The session, the gateway that owns it and the age of its last record, the number of connections so far, and for
    how long the session has waited for its client."""
    home = Text(one["session"])
    home.append(f"\n{one['gateway']}, {_seconds(one['heartbeat_ms_ago'])} ago", "dim")
    home.append(f"\nepoch {one['epoch']}, upstream leg {one['upstream_legs']}, client leg {one['client_legs']}", "dim")
    if one["claimed_epoch"] is not None:
        home.append(f"\nclaimed by another gateway, epoch {one['claimed_epoch']}", "yellow")
    if one["parked_ms_ago"] is not None:
        home.append(f"\nparked for {_seconds(one['parked_ms_ago'])}", "cyan")
    return home


def _turn(one: Session) -> Text:
    """The slot, the active response, whether the user is speaking, and the open function calls."""
    turn = Text(one["slot"], _SLOT_STYLES.get(one["slot"], ""))
    if one["response_id"]:
        turn.append(f"\n{one['response_id']}", "dim")
    if one["user_speaking"]:
        turn.append("\nuser speaking", "cyan")
    for call in one["open_calls"]:
        turn.append(f"\ncall {call}", "magenta")
    return turn


def _waiting(one: Session) -> str:
    """The held requests with their ages, and the outstanding release."""
    lines = [f"{held['kind']} #{held['seq']} for {_seconds(held['since_ms_ago'])}" for held in one["held"]]
    if one["release"] is not None:
        lines.append(f"released, lease {_seconds(one['release']['expires_in_ms'])}")
    return "\n".join(lines)


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s"
