"""The operator's table that maps clients' names of voices and models to the upstream's.

It is a JSON or TOML file, read once at start::

    [voices]
    "aura-2-luna-es" = "coral"      # a model name, a voice name or a voice id; case is ignored
    "21m00Tcm4TlvDq8ikWAM" = "sage"

    [models]
    "gpt-4o-mini" = "gpt-realtime-2.1"  # a think model that this realtime model stands for: no Warning is sent
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from translator.mapping.voices import REALTIME_VOICES
from turngate.process.settings import SettingsError

SETTING = "TURNGATE_NAMES_FILE"


class Names(BaseModel):
    """The table; empty if there is no file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    voices: Mapping[str, str] = Field(default_factory=dict)
    models: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("voices", "models")
    @classmethod
    def _in_lower_case(cls, table: Mapping[str, str]) -> Mapping[str, str]:
        return {name.lower(): meant for name, meant in table.items()}

    @field_validator("voices")
    @classmethod
    def _exist(cls, voices: Mapping[str, str]) -> Mapping[str, str]:
        for name, voice in voices.items():
            if voice not in REALTIME_VOICES and not voice.startswith("voice_"):
                known = ", ".join(sorted(REALTIME_VOICES))
                raise ValueError(f"{name!r} is mapped to {voice!r}, which is neither one of {known} nor voice_…")
        return voices

    def voice(self, *names: str | None) -> str | None:
        """The upstream's voice for the first of these names that is in the table; None if none is."""
        return next((self.voices[name.lower()] for name in names if name and name.lower() in self.voices), None)

    def model(self, name: str) -> str:
        """The realtime model for this name; the name itself if it is not in the table."""
        return self.models.get(name.lower(), name)


def load_names(path: Path | None) -> Names:
    """Read the table; without a path it is empty. Raises `SettingsError`, which names the setting and the mistake."""
    if path is None:
        return Names()
    try:
        content = path.read_bytes()
        data: Any = tomllib.loads(content.decode()) if path.suffix == ".toml" else orjson.loads(content)
        return Names.model_validate(data)
    except OSError as error:
        raise SettingsError(f"{SETTING}: {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{SETTING}: {path}: {where}: {first['msg']}") from None
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise SettingsError(f"{SETTING}: {path} is not {kind}: {error}") from None
