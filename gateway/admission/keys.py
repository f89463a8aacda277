"""The gateway's API keys from its settings. Without keys, a gateway that others can reach does not start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway import log_events
from gateway.admission.credentials import KeyOptions, Keys
from gateway.admission.watched_file import WatchedFile
from gateway.config import GatewaySettings
from turngate.process.settings import SettingsError
from turngate.process.urls import is_loopback


def read_keys(settings: GatewaySettings) -> Keys | None:
    """The keys of which clients need one; None if clients need no key. Call `warn_if_open` with the result at start.

    Raises `SettingsError` for keys that cannot be read, and if there are none on an address that others can reach.
    """
    listed, file = settings.api_keys, settings.api_keys_file
    keys = _named("TURNGATE_API_KEYS", listed.get_secret_value().split(",")) if listed is not None else {}
    if file is not None:
        return FileKeys(keys, file)
    if keys:
        return Keys(keys)
    reachable = settings.published_host or settings.gateway_host
    if not is_loopback(reachable) and not settings.allow_anonymous:
        setting = "TURNGATE_PUBLISHED_HOST" if settings.published_host else "TURNGATE_GATEWAY_HOST"
        raise SettingsError(
            f"TURNGATE_API_KEYS: needed, since {setting} {reachable} can be reached from elsewhere; "
            "TURNGATE_ALLOW_ANONYMOUS=1 lets anybody in"
        )
    return None


def warn_if_open(keys: Keys | None, settings: GatewaySettings) -> None:
    """Log a warning if clients need no key."""
    if keys is None:
        log_events.open_to_anybody(
            address=f"{settings.published_host or settings.gateway_host}:{settings.gateway_port}",
            # `turngate run` shows the line to people who have not read the page.
            remedy="set TURNGATE_API_KEYS",
        )


class FileKeys(Keys):
    """Keys from the settings and from a file, which may change while the gateway runs. If the file becomes invalid,
    this is logged and the previous keys stay."""

    def __init__(
        self, listed: Mapping[str, KeyOptions], file: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``listed`` are accepted in addition to the file's. Raises `SettingsError` if the file is invalid now."""
        self._listed = listed
        self._watched = WatchedFile("TURNGATE_API_KEYS_FILE", file, clock)
        super().__init__(self._read())

    def admit(self, given_key: str) -> str:
        self._look()
        return super().admit(given_key)

    def _look(self) -> None:
        if not self._watched.changed():
            return
        try:
            self.replace(self._read())
        except SettingsError as error:
            log_events.keys_not_read(reason=str(error), kept=len(self))
        else:
            log_events.keys_read_again(keys=len(self))

    def _read(self) -> dict[str, KeyOptions]:
        return {**self._listed, **_named("TURNGATE_API_KEYS_FILE", self._watched.lines())}


def _named(setting: str, entries: list[str]) -> dict[str, KeyOptions]:
    """The keys in these entries, each a key and, after a space, its options."""
    keys: dict[str, KeyOptions] = {}
    for entry in entries:
        key, _, options = entry.strip().partition(" ")
        if key:
            keys[key] = _options(setting, options)
    if not keys:
        raise SettingsError(f"{setting}: there is no key in it")
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise SettingsError(f"{setting}: a key may only have printable ASCII characters, without spaces")
    return keys


def _options(setting: str, given: str) -> KeyOptions:
    options = given.split()
    if not options:
        return KeyOptions()
    if options != ["latency_reports=0"]:
        # The rest of the line may be part of a key.
        raise SettingsError(
            f"{setting}: a key may only have printable ASCII characters, without spaces; after a space there is only "
            "the option latency_reports=0"
        )
    return KeyOptions(latency_reports=False)
