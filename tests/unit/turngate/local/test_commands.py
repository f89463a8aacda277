"""Commands for the services: the list of settings, and the error for a wrong one."""

from __future__ import annotations

import pytest
from pydantic import Field, SecretStr
from typer.testing import CliRunner

from turngate.cli.app import with_commands
from turngate.cli.config import Setting, collect, page
from turngate.cli.services import SERVICES, Service
from turngate.process.settings import Settings


class Example(Settings):
    """Settings of every type that the page must show."""

    example_port: int = Field(8080, ge=0, le=65535, description="A port.")
    example_key: SecretStr | None = Field(None, description="A key.")
    example_name: str = Field(default_factory=lambda: "different every time", description="A name.")
    example_on: bool = Field(False, description="A | switch.")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "settings", lambda self: Example if self.name == "gateway" else Settings)


@pytest.mark.usefixtures("example")
def test_every_setting_is_listed_once_with_its_services() -> None:
    found = {setting.variable: setting for setting in collect()}
    assert found["TURNGATE_LOG_LEVEL"].services == tuple(service.name for service in SERVICES)
    assert found["TURNGATE_EXAMPLE_PORT"] == Setting(
        "TURNGATE_EXAMPLE_PORT", "8080", "whole number, ≥ 0, ≤ 65535", "A port.", ("gateway",)
    )
    assert found["TURNGATE_EXAMPLE_KEY"].accepts == "secret"
    assert found["TURNGATE_EXAMPLE_KEY"].default == ""
    assert found["TURNGATE_EXAMPLE_ON"].default == "false"


@pytest.mark.usefixtures("example")
def test_the_page_is_deterministic_and_escapes_table_cells() -> None:
    assert page(collect()) == page(collect())
    rows = [line for line in page(collect()).splitlines() if line.startswith("| `TURNGATE_EXAMPLE")]
    assert "(made at start)" in rows[2]
    assert "A \\| switch." in rows[3]
    assert "| `TURNGATE_LOG_FORMAT` | `json` | `json` or `console` |" in page(collect())


def test_every_setting_has_a_description() -> None:
    assert [setting.variable for setting in collect() if not setting.description] == []


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_wrong_setting_is_one_line_and_exit_code_2(name: str) -> None:
    variable = f"TURNGATE_{name.replace('-', '_').upper()}_PORT"
    result = CliRunner().invoke(with_commands(), [name], env={variable: "abc"})
    assert result.exit_code == 2
    assert result.output.startswith(f"turngate {name}: {variable}: ")
    assert len(result.output.splitlines()) == 1


def test_an_option_takes_precedence_over_the_environment() -> None:
    result = CliRunner().invoke(with_commands(), ["gateway", "--port", "99999"], env={"TURNGATE_GATEWAY_PORT": "8080"})
    assert result.exit_code == 2
    assert "99999" in result.output
