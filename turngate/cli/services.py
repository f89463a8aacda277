"""The services that the command line can run, with their settings and entry points. They are imported on use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import typer

from turngate.cli.errors import MISUSED
from turngate.cli.unknown_settings import unknown
from turngate.process.settings import Settings, SettingsError, load, variables


@dataclass(frozen=True)
class Service:
    """One service: a package with ``config`` (its settings) and a module with ``run(settings)``."""

    name: str
    package: str
    settings_class: str
    module: str = "app"

    def settings(self) -> type[Settings]:
        found: type[Settings] = getattr(import_module(f"{self.package}.config"), self.settings_class)
        return found

    def run(self, **overrides: object) -> None:
        """Run the service until it is stopped. A wrong setting is one line on standard error and exit code 2."""
        for line in unknown(os.environ, known_variables()):
            typer.echo(f"turngate {self.name}: {line}", err=True)
        try:
            import_module(f"{self.package}.{self.module}").run(load(self.settings(), **overrides))
        except SettingsError as error:
            typer.echo(f"turngate {self.name}: {error}", err=True)
            raise typer.Exit(MISUSED) from None


GATEWAY = Service("gateway", "gateway", "GatewaySettings", "start")
TRANSLATOR = Service("translator", "translator", "TranslatorSettings")
SESSION_STATE = Service("session-state", "session_state", "SessionStateSettings")
SIMULATOR = Service("simulator", "turngate.simulator", "SimulatorSettings")

SERVICES = (GATEWAY, TRANSLATOR, SESSION_STATE, SIMULATOR)


def known_variables() -> Iterator[str]:
    """The environment variable of every setting of every service, and the other names that some have."""
    for service in SERVICES:
        for name, field in service.settings().model_fields.items():
            yield from variables(name, field)
