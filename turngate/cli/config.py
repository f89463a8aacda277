"""``turngate config``: lists every setting from the settings classes. Generates ``docs/configuration.md``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import annotated_types
import typer
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from turngate.cli.services import SERVICES
from turngate.process.settings import variables

_HEAD = """\
# Configuration

Use this page to look up a setting of a service; [.env.example](../.env.example) groups the settings by task. Every
setting is an environment variable. A service does not start if a value is invalid, and prints a line that names it.
`turngate config --markdown` generates this page.
"""


@dataclass(frozen=True)
class Setting:
    """One setting as an environment variable."""

    variable: str
    default: str
    accepts: str
    description: str
    services: tuple[str, ...]


def config(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/configuration.md.")] = False,
) -> None:
    """List every setting with its environment variable, default and description."""
    if markdown:
        typer.echo(page(collect()), nl=False)
        return
    table = Table(Column("variable", no_wrap=True), "default", "description", box=None, pad_edge=False)
    for setting in collect():
        table.add_row(Text(setting.variable, "bold"), Text(setting.default), Text(setting.description))
    Console(highlight=False).print(table)


def collect() -> list[Setting]:
    """All settings of all services, in the order of the services, each variable once."""
    found: dict[str, Setting] = {}
    for service in SERVICES:
        for name, field in service.settings().model_fields.items():
            variable = variables(name, field)[0]
            users = (*found[variable].services, service.name) if variable in found else (service.name,)
            found[variable] = Setting(variable, _default(field), _accepts(field), field.description or "", users)
    return list(found.values())


def page(settings: list[Setting]) -> str:
    """The settings as a Markdown page, with the settings of several services first."""
    shared = [setting for setting in settings if len(setting.services) > 1]
    lines = [_HEAD, *_section("Shared", "Read by more than one service.", shared, with_services=True)]
    for service in SERVICES:
        own = [setting for setting in settings if setting.services == (service.name,)]
        lines += _section(service.name.capitalize(), f"Read only by `turngate {service.name}`.", own)
    return "\n".join(lines)


def _section(title: str, about: str, settings: list[Setting], *, with_services: bool = False) -> Iterator[str]:
    if not settings:
        return
    yield f"## {title}\n\n{about}\n"
    yield "| variable | default | accepts | description |" + (" read by |" if with_services else "")
    yield "|---|---|---|---|" + ("---|" if with_services else "")
    for setting in settings:
        cells = [f"`{setting.variable}`", _code(setting.default), setting.accepts, setting.description]
        if with_services:
            cells.append(", ".join(setting.services))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "(made at start)"
    if field.default is None:
        return ""
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _accepts(field: FieldInfo) -> str:
    """The type and limits of a field."""
    words = [_type(field.annotation)]
    for limit in field.metadata:
        match limit:
            case annotated_types.Ge(ge=bound):
                words.append(f"≥ {bound}")
            case annotated_types.Gt(gt=bound):
                words.append(f"> {bound}")
            case annotated_types.Le(le=bound):
                words.append(f"≤ {bound}")
            case annotated_types.Lt(lt=bound):
                words.append(f"< {bound}")
    return ", ".join(words)


_TYPES = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "SecretStr": "secret",
    "Path": "file",
}


def _type(annotation: Any) -> str:
    members = getattr(annotation, "__args__", None)
    if members is None or annotation.__module__ == "builtins":
        name = str(getattr(annotation, "__name__", annotation))
        return "URL" if name.endswith(("Dsn", "Url")) else _TYPES.get(name, name)
    if all(isinstance(member, str) for member in members):
        return " or ".join(f"`{member}`" for member in members)
    return " or ".join(_type(member) for member in members if member is not type(None))
