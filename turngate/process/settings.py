"""Settings from the environment (``TURNGATE_…``), checked once at start.

Each service subclasses `Settings` and adds its own fields, every one with a default, a unit in its name and a
description: `docs/configuration.md` is generated from them.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, RedisDsn, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "TURNGATE_"


class SettingsError(Exception):
    """A setting is missing or wrong. The text is one line that names the setting; print it and exit with 2."""


class Settings(BaseSettings):
    """What all services share."""

    # A variable that is set but empty (as compose hands them on) counts as not set.
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="`json` for log collectors, `console` for people."
    )


class BrokerSettings(Settings):
    """What the services behind the broker share."""

    redis_url: RedisDsn = Field(
        RedisDsn("redis://127.0.0.1:6379/0"), description="The Redis (or Valkey) server that carries the streams."
    )
    stream_max_length: int = Field(
        10_000, ge=100, description="Entries kept in each stream; the oldest go first. What is lost so is sent again."
    )


class ConsumerSettings(BrokerSettings):
    """What the services that share a stream's entries among their processes have in common."""

    reclaim_after_ms: int = Field(
        5_000, ge=100, description="Entries that a dead or failing consumer left unfinished for so long are taken over."
    )
    deliveries_max: int = Field(
        3,
        ge=1,
        description="An entry that could not be handled after so many deliveries goes to `turngate.dead-letters`.",
    )


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read the settings of one service from the environment; ``overrides`` (from the command line) win.

    Raises `SettingsError`, whose text names the first setting that is wrong and what it may be.
    """
    try:
        return kind(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ENV_PREFIX + ".".join(str(part) for part in first["loc"]).upper()
        given = "" if first["type"] == "missing" else f", not {first['input']!r}"
        raise SettingsError(f"{name}: {first['msg']}{given}") from None
