"""A plugin for pytest (``-p tests.progress_of_tests``): how far a long run is, for the make targets that run tests for
minutes."""

from __future__ import annotations

import pytest

from tests.progress import Progress


class _Shown:
    """The tests of one run."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(total, "tests")
        self._done = 0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._progress.at(self._done, nodeid.rpartition("::")[2])

    def pytest_runtest_logfinish(self) -> None:
        self._done += 1
        self._progress.close()


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Shown(len(session.items)))
