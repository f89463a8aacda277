"""Output of child processes: writes all of it to bounded files, and selects the lines for the terminal."""

from __future__ import annotations

import json
import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

from turngate.process.text import printable

_SHOWN_LEVELS = frozenset({"warning", "error", "critical"})
_NOT_SHOWN = frozenset({"level", "event", "timestamp", "logger", "service", "gateway", "exception"})
_FILE_BYTES = 5_000_000
_LINES_KEPT = 50


def terminal_line(line: str) -> str | None:
    """The line as the terminal shows it, if it is a warning, an error, or not a log entry; otherwise None. Control
    characters are escaped, because a line may contain the words of a client or of the upstream."""
    try:
        entry = json.loads(line)
    except ValueError:
        return printable(line) or None
    if not isinstance(entry, dict) or "event" not in entry:
        return printable(line)
    if entry.get("level") not in _SHOWN_LEVELS:
        return None
    words = [f"{entry['level']}: {entry['event']}"]
    words += [f"{key}={value}" for key, value in entry.items() if key not in _NOT_SHOWN]
    if trace := str(entry.get("exception", "")).strip():
        words.append(f"({trace.splitlines()[-1].strip()})")
    return printable(" ".join(words))


class LogFile:
    """The log of one child: the newest lines in memory and, if a folder is given, two files of at most 5 MB each."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self._recent: deque[str] = deque(maxlen=_LINES_KEPT)
        self._file: RotatingFileHandler | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}.log"
            path.unlink(missing_ok=True)
            self._file = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=1, encoding="utf-8")

    def write(self, line: str) -> None:
        self._recent.append(line)
        if self._file is not None:
            self._file.emit(logging.makeLogRecord({"msg": line}))

    def last_line(self) -> str:
        """The last line that the terminal would show, or else the last line, for a message about an early exit."""
        shown = [text for line in self._recent if (text := terminal_line(line))]
        return (shown or [*self._recent] or ["no output"])[-1]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
