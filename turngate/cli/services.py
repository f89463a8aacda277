"""The services that the command line can run, with their settings and entry points. They are imported on use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from turngate.process.settings import MISUSED, Settings, SettingsError, load, variables


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

    def run(self, *, tells_unknown: bool = True, **overrides: object) -> None:
        """Run the service until it is stopped. A wrong setting is one line on standard error and exit code 2.

        tells_unknown: say which variables look like settings and are none, for which the settings of all services are
        imported.
        """
        if tells_unknown:
            for line in unknown_settings():
                print(f"turngate {self.name}: {line}", file=sys.stderr)
        try:
            import_module(f"{self.package}.{self.module}").run(load(self.settings(), **overrides))
        except SettingsError as error:
            print(f"turngate {self.name}: {error}", file=sys.stderr)
            raise SystemExit(MISUSED) from None


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


def unknown_settings() -> list[str]:
    """A line for each variable of the environment that looks like a setting and is none."""
    from turngate.cli.unknown_settings import unknown

    return unknown(os.environ, known_variables())
