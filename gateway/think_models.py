"""The models that clients may name, as ``GET /v1/agent/settings/think/models`` lists them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import orjson

from turngate.process.settings import SettingsError


def think_models(connected: str, names_file: Path | None) -> bytes:
    """The page as JSON, in Deepgram's format: the model that answers, and the names that stand for it in the operator's
    table. Raises `SettingsError` for a table that cannot be read."""
    names = [connected, *(name for name, meant in _table(names_file).items() if meant == connected)]
    models = [{"id": name, "name": name, "provider": "open_ai"} for name in dict.fromkeys(names)]
    return orjson.dumps({"models": models})


def _table(path: Path | None) -> dict[str, Any]:
    """The table of models. Translators check the whole file, and do not start with an invalid one."""
    if path is None:
        return {}
    try:
        content = path.read_bytes()
        data = tomllib.loads(content.decode()) if path.suffix == ".toml" else orjson.loads(content)
    except OSError as error:
        raise SettingsError(f"TURNGATE_NAMES_FILE: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"TURNGATE_NAMES_FILE: {path} cannot be read: {error}") from None
    models = data.get("models") if isinstance(data, dict) else None
    return models if isinstance(models, dict) else {}
