"""Logs: structured events on standard error, JSON for collectors or coloured lines for people.

Lines are written by a thread, so that a reader that has stopped reading standard error does not stop the event loop.
While it does, the newest lines are dropped, and their number is logged when it reads again.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from prometheus_client import Counter

from turngate.process import log_events
from turngate.process.log_context import merge_trace
from turngate.process.settings import Settings

#: Lines that may wait to be written.
_QUEUE_MAX = 10_000
#: Seconds that the process waits at its end for lines to be written.
_FLUSH_SECONDS = 1.0

_dropped = Counter("turngate_log_lines_dropped", "Log lines that were dropped because standard error was not read.")


def configure(settings: Settings, service: str, **common: str) -> None:
    """Set up logging for this process; every line carries the service's name, and what it has in ``common``. Call once,
    before the first log line."""

    def add_common(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        # Not bound to the context, which lines of other threads do not have.
        return {"service": service, **common, **line}

    shared: list[structlog.typing.Processor] = [
        add_common,
        structlog.contextvars.merge_contextvars,
        merge_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = QueuedHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    atexit.register(handler.flush)
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for noisy in ("websockets", "uvicorn", "faststream", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


class QueuedHandler(logging.Handler):
    """Formats a line in the caller, and writes it in a thread of its own. Never waits for the stream."""

    def __init__(
        self,
        stream: TextIO,
        lines_max: int = _QUEUE_MAX,
        report: Callable[[int], None] = lambda dropped: log_events.log_lines_dropped(lines=dropped),
    ) -> None:
        """At most ``lines_max`` lines wait; further ones are dropped and counted, and their number is told to
        ``report`` when there is room again."""
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(lines_max)
        self._dropped = 0
        self._report = report
        threading.Thread(target=self._write, name="log writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
            _dropped.inc()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until the queued lines are written, for a bounded time."""
        waiting = threading.Thread(target=self._lines.join, daemon=True)
        waiting.start()
        waiting.join(_FLUSH_SECONDS)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._stream.write(line + "\n")
                if (dropped := self._dropped) and self._lines.empty():
                    self._dropped -= dropped
                    self._report(dropped)
                self._stream.flush()
            except (OSError, ValueError):
                # Standard error is closed: there is nobody to tell.
                pass
            finally:
                self._lines.task_done()
