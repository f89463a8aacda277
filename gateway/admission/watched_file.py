"""A file of secrets, one per line, that may change while the gateway runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from turngate.process.settings import SettingsError

#: Minimum time between two looks at the file, in seconds.
_LOOK_SECONDS = 2.0


class WatchedFile:
    """Tells when to read the file again, and reads it."""

    def __init__(self, setting: str, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """``setting`` is the variable that names the file, for errors."""
        self._setting = setting
        self._file = file
        self._clock = clock
        self._looked_at = clock()
        # Before the file is read, so that a change in between is detected next time.
        self._seen = _stamp(file)

    def changed(self) -> bool:
        """Whether the file has changed since it was last found changed. It is looked at once in `_LOOK_SECONDS`."""
        now = self._clock()
        if now - self._looked_at < _LOOK_SECONDS:
            return False
        self._looked_at = now
        stamp = _stamp(self._file)
        if stamp == self._seen:
            return False
        self._seen = stamp
        return True

    def lines(self) -> list[str]:
        """The lines that are no comments. Raises `SettingsError`."""
        try:
            lines = self._file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise SettingsError(f"{self._setting}: {self._file}: {reason}") from None
        return [line for line in lines if not line.lstrip().startswith("#")]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """A value that differs once the file has changed or was replaced; None if there is no file."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
