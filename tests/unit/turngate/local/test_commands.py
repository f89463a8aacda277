"""The command line around the services: the list of settings, and how a wrong one is told."""

from __future__ import annotations

import pytest
from pydantic import Field, SecretStr
from typer.testing import CliRunner

from turngate.cli.app import app
from turngate.cli.config import Setting, collect, page
from turngate.cli.services import SERVICES, Service
from turngate.process.settings import Settings


class Example(Settings):
    """Settings of every shape that the page has to show."""

    example_port: int = Field(8080, ge=0, le=65535, description="A port.")
    example_key: SecretStr | None = Field(None, description="A key.")
    example_name: str = Field(default_factory=lambda: "different every time", description="A name.")
    example_on: bool = Field(False, description="A | switch.")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "settings", lambda self: Example if self.name == "gateway" else Settings)


@pytest.mark.usefixtures("example")
def test_every_setting_is_listed_once_with_who_reads_it() -> None:
    found = {setting.variable: setting for setting in collect()}
    assert found["TURNGATE_LOG_LEVEL"].services == tuple(service.name for service in SERVICES)
    assert found["TURNGATE_EXAMPLE_PORT"] == Setting(
        "TURNGATE_EXAMPLE_PORT", "8080", "whole number, ≥ 0, ≤ 65535", "A port.", ("gateway",)
    )
    assert found["TURNGATE_EXAMPLE_KEY"].accepts == "secret"
    assert found["TURNGATE_EXAMPLE_KEY"].default == ""
    assert found["TURNGATE_EXAMPLE_ON"].default == "false"


@pytest.mark.usefixtures("example")
def test_the_page_is_the_same_every_time_and_a_table_wherever_it_is_one() -> None:
    assert page(collect()) == page(collect())
    rows = [line for line in page(collect()).splitlines() if line.startswith("| `TURNGATE_EXAMPLE")]
    assert "(made at start)" in rows[2]
    assert "A \\| switch." in rows[3]
    assert "| `TURNGATE_LOG_FORMAT` | `json` | `json` or `console` |" in page(collect())


def test_the_real_settings_all_say_what_they_are() -> None:
    assert [setting.variable for setting in collect() if not setting.description] == []


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_wrong_setting_is_one_line_and_exit_code_2(name: str) -> None:
    variable = f"TURNGATE_{name.replace('-', '_').upper()}_PORT"
    result = CliRunner().invoke(app, [name], env={variable: "abc"})
    assert result.exit_code == 2
    assert result.output.startswith(f"turngate {name}: {variable}: ")
    assert len(result.output.splitlines()) == 1


def test_an_option_wins_over_the_environment() -> None:
    result = CliRunner().invoke(app, ["gateway", "--port", "99999"], env={"TURNGATE_GATEWAY_PORT": "8080"})
    assert result.exit_code == 2
    assert "99999" in result.output
