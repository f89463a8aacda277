"""A log line never waits for whoever reads the logs."""

from __future__ import annotations

import io
import logging
import threading

from turngate.process.logging import QueuedHandler


class Stuck(io.StringIO):
    """A stream that takes nothing until it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_on = threading.Event()
        self.writing = threading.Event()

    def write(self, text: str) -> int:
        self.writing.set()
        assert self.read_on.wait(30)
        return super().write(text)


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text})


def test_lines_that_do_not_fit_are_dropped_counted_and_said_later() -> None:
    stream = Stuck()
    handler = QueuedHandler(stream, 10, lambda dropped: handler.emit(record(f"{dropped} dropped")))
    handler.emit(record("first"))
    assert stream.writing.wait(30)
    for n in range(100):
        handler.emit(record(f"line {n}"))
    stream.read_on.set()
    handler.flush()
    written = stream.getvalue().splitlines()
    assert written == ["first", *(f"line {n}" for n in range(10)), "90 dropped"]


def test_a_stream_that_is_closed_ends_nothing() -> None:
    stream = io.StringIO()
    handler = QueuedHandler(stream)
    stream.close()
    handler.emit(record("lost"))
    handler.flush()
    handler.emit(record("lost too"))
    handler.flush()


def test_flushing_does_not_wait_for_ever() -> None:
    stream = Stuck()
    handler = QueuedHandler(stream)
    handler.emit(record("stuck"))
    handler.flush()
    stream.read_on.set()
