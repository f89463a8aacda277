"""The ``turngate`` command. Services import only what they run; everything else is a function of its own module."""

from __future__ import annotations

from typing import Annotated

import typer

from turngate.cli import services
from turngate.cli.chat import chat
from turngate.cli.config import config
from turngate.cli.demo.command import demo
from turngate.cli.run import run
from turngate.cli.sessions import sessions
from turngate.cli.talk import talk

app = typer.Typer(
    name="turngate",
    help="A voice-agent server you run yourself: Deepgram's Voice Agent protocol in front, OpenAI Realtime behind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.", show_default=False)]


@app.command()
def gateway(host: Host = None, port: Port = None) -> None:
    """Run a gateway: it holds the clients' sockets and the upstream's."""
    services.GATEWAY.run(gateway_host=host, gateway_port=port)


@app.command()
def translator(host: Host = None, port: Port = None) -> None:
    """Run a translator: it turns what clients ask for into upstream events. Start as many as you like."""
    services.TRANSLATOR.run(translator_host=host, translator_port=port)


@app.command()
def session_state(host: Host = None, port: Port = None) -> None:
    """Run a session-state: it knows whose turn it is, and what waits for its end."""
    services.SESSION_STATE.run(session_state_host=host, session_state_port=port)


@app.command()
def simulator(
    host: Host = None,
    port: Port = None,
    pace: Annotated[
        float | None, typer.Option(help="1: as fast as the real one; 0: as fast as possible.", show_default=False)
    ] = None,
) -> None:
    """Run the simulator: a strict stand-in for the OpenAI Realtime API, with a record of all it was sent."""
    services.SIMULATOR.run(simulator_host=host, simulator_port=port, simulator_pace=pace)


# One line for each command that is a module of its own.
app.command()(run)
app.command()(chat)
app.command()(talk)
app.command()(sessions)
app.command()(demo)
app.command()(config)


def main() -> None:
    """The console script."""
    app(prog_name="turngate")


if __name__ == "__main__":
    main()
