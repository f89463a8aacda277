"""The secrets that sign tokens, from the gateway's settings."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import log_events
from gateway.admission.tokens import SECRET_MIN, Tokens
from gateway.admission.watched_file import WatchedFile
from gateway.config import GatewaySettings
from turngate.process.settings import SettingsError


def read_tokens(settings: GatewaySettings, *, open_to_anybody: bool) -> Tokens | None:
    """What makes and accepts tokens; None if no secret is set. A gateway that is ``open_to_anybody`` accepts whatever a
    client brings, so it makes tokens even then, with a secret of its own.

    Raises `SettingsError` for secrets that cannot be read or are too short.
    """
    given, file = settings.token_secret, settings.token_secret_file
    listed = _checked("TURNGATE_TOKEN_SECRET", given.get_secret_value().split(",")) if given is not None else []
    if file is not None:
        return FileTokens(listed, file)
    if not listed and open_to_anybody:
        listed = [secrets.token_urlsafe(SECRET_MIN)]
    return Tokens(listed) if listed else None


class FileTokens(Tokens):
    """Secrets from a file, which may change while the gateway runs, and then those from the settings. If the file
    becomes invalid, this is logged and the previous secrets stay."""

    def __init__(self, listed: Sequence[str], file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `SettingsError` if the file is invalid now."""
        self._listed = listed
        self._watched = WatchedFile("TURNGATE_TOKEN_SECRET_FILE", file, clock)
        super().__init__(self._read())

    def grant(self, key: str, ttl: float, now: float) -> tuple[str, int]:
        self._look()
        return super().grant(key, ttl, now)

    def key(self, token: str, now: float) -> str:
        self._look()
        return super().key(token, now)

    def _look(self) -> None:
        if not self._watched.changed():
            return
        try:
            self.replace(self._read())
        except SettingsError as error:
            log_events.token_secrets_not_read(reason=str(error), kept=len(self))
        else:
            log_events.token_secrets_read_again(secrets=len(self))

    def _read(self) -> list[str]:
        return [*_checked("TURNGATE_TOKEN_SECRET_FILE", self._watched.lines()), *self._listed]


def _checked(setting: str, entries: list[str]) -> list[str]:
    found = [entry.strip() for entry in entries if entry.strip()]
    if not found:
        raise SettingsError(f"{setting}: there is no secret in it")
    if any(len(secret.encode()) < SECRET_MIN for secret in found):
        raise SettingsError(f"{setting}: a secret has at least {SECRET_MIN} characters; make one: openssl rand -hex 32")
    return found
