"""``turngate run``: runs all services on this machine with one command."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    translators: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Number of translator processes.", show_default="one per two cores, up to 4"),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(envvar="TURNGATE_GATEWAY_WORKERS", help="Number of gateway processes, or auto.", show_default="1"),
    ] = None,
) -> None:
    """Run the broker, the services and, without an OPENAI_API_KEY, the simulator. Ctrl-C stops them.

    The broker is the one at TURNGATE_REDIS_URL, else a redis-server or valkey-server on the PATH, else the bundled one.
    """
    from turngate.local.run import run_stack

    raise typer.Exit(run_stack(translators, workers))
