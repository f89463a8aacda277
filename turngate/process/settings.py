"""Settings from environment variables (``TURNGATE_…``), validated once at start.

Each service subclasses `Settings` and adds fields, each with a default, a unit in its name, and a description.
`docs/configuration.md` is generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import AliasChoices, Field, RedisDsn, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from turngate.process.redis_servers import ONLY, Url, read_servers
from turngate.process.redis_url import RedisUrl
from turngate.process.urls import without_secrets

ENV_PREFIX = "TURNGATE_"
#: Exit code of a command for a wrong option, setting or file.
MISUSED = 2


class SettingsError(Exception):
    """A setting is missing or invalid. The text is one line that names it; print it and exit with `MISUSED`."""


class Settings(BaseSettings):
    """The settings of all services."""

    # An empty variable counts as unset, because compose passes unset variables as empty ones.
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The minimum level of log entries."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="`json` for log collectors, or `console` for a terminal."
    )


class BrokerSettings(Settings):
    """The settings of services that use the broker."""

    redis_url: RedisUrl = Field(
        RedisDsn("redis://127.0.0.1:6379/0"),
        description="URL of the Redis or Valkey server, with password if needed (`rediss://` for TLS), or of the "
        "sentinels that know it: `redis+sentinel://host:26379,host:26379/NAME`.",
    )
    redis_urls: SecretStr | None = Field(
        None,
        description="Instead of one server, several among which sessions are divided: `name=url` entries, separated by "
        "spaces. A name (a-z, 0-9, -) stays with its server. The same in all services.",
    )
    redis_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.:-]{0,64}$",
        description="Prefix of all streams and keys; two installations on one Redis need different ones.",
    )
    redis_timeout_ms: int = Field(
        3_000,
        ge=100,
        description="Timeout for the answer to a command. Requests are published again, so it may be short.",
    )
    stream_max_length: int = Field(
        10_000, ge=100, description="Maximum length of each stream; the oldest entries are dropped, and sent again."
    )

    @field_validator("redis_urls")
    @classmethod
    def _readable(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            read_servers(given.get_secret_value())
        return given

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.redis_urls is not None and "redis_url" in self.model_fields_set:
            raise ValueError("TURNGATE_REDIS_URLS and TURNGATE_REDIS_URL are both set: set one of them")
        return self

    @property
    def servers(self) -> Mapping[str, Url]:
        """The URLs of the Redis servers by name; a single one is called `ONLY`."""
        if self.redis_urls is None:
            return {ONLY: self.redis_url}
        return read_servers(self.redis_urls.get_secret_value())


class ConsumerSettings(BrokerSettings):
    """The settings of services that read streams through a consumer group."""

    reclaim_after_ms: int = Field(
        5_000, ge=100, description="Entries not acknowledged for this long are reclaimed by another consumer."
    )
    deliveries_max: int = Field(
        3,
        ge=1,
        description="An entry that was not handled in this many deliveries is moved to `turngate.dead-letters`.",
    )
    stream_max_bytes: int = Field(
        33_554_432,
        ge=65_536,
        description="Maximum size of a stream whose entries nobody handles; beyond it the oldest entries are dropped, "
        "and published again.",
    )
    dead_letters_max_bytes: int = Field(
        4_194_304, ge=65_536, description="Maximum size of `turngate.dead-letters`; beyond it the oldest are dropped."
    )
    dead_letter_ttl_ms: int = Field(
        604_800_000, ge=1_000, description="Entries of `turngate.dead-letters` are dropped after this time."
    )


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read the settings of one service from the environment; ``overrides`` (from the command line) win.

    Raises `SettingsError`, whose text names the first setting that is wrong and what it may be. It does not contain
    secrets.
    """
    try:
        return kind(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            # About several settings, which it names.
            raise SettingsError(problem) from None
        name = str(first["loc"][0])
        fields = kind.model_fields
        field = next((own for own, one in fields.items() if name in (own, *variables(own, one))), None)
        shown = "" if first["type"] == "missing" or field is None else _shown(fields[field], first["input"])
        variable = variables(field, fields[field])[0] if field is not None else ENV_PREFIX + name.upper()
        raise SettingsError(f"{variable}: {problem}{shown}") from None


def variables(name: str, field: FieldInfo) -> list[str]:
    """The environment variables that a field is read from, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias if isinstance(alias, str) else f"{ENV_PREFIX}{name.upper()}"]


def _shown(field: FieldInfo, given: Any) -> str:
    """The value for an error message, without secrets: a URL may contain a password."""
    kind = str(field.annotation)
    if "Secret" in kind:
        return ""
    return f", not {without_secrets(str(given))!r}" if "Url" in kind or "Dsn" in kind else f", not {given!r}"
