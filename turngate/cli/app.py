"""The ``turngate`` command. Only the module of the command that is given is imported."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

#: The commands in the order of the help, with the modules of their functions. A dash is an underscore in the function.
_COMMANDS = {
    "gateway": "turngate.cli.service_commands",
    "translator": "turngate.cli.service_commands",
    "session-state": "turngate.cli.service_commands",
    "simulator": "turngate.cli.service_commands",
    "run": "turngate.cli.run",
    "chat": "turngate.cli.chat",
    "talk": "turngate.cli.talk",
    "sessions": "turngate.cli.sessions",
    "demo": "turngate.cli.demo.command",
    "config": "turngate.cli.config",
    "doctor": "turngate.cli.doctor.command",
}


def with_commands(*names: str) -> typer.Typer:
    """The command line with these commands; all of them if none is named."""
    made = typer.Typer(
        name="turngate",
        help="A voice-agent server you run yourself: Deepgram's Voice Agent protocol in front, OpenAI Realtime behind.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # Otherwise a command line with one command has no name for it.
    made.callback()(lambda: None)
    for name in names or _COMMANDS:
        made.command(name)(getattr(import_module(_COMMANDS[name]), name.replace("-", "_")))
    return made


def main() -> None:
    """Entry point of the console script."""
    given = sys.argv[1:2]
    with_commands(*(name for name in given if name in _COMMANDS))(prog_name="turngate")


if __name__ == "__main__":
    main()
