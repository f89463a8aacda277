"""Property: whatever client, upstream, translators and time do to a session, it holds (see `tests.fuzz.watcher`).

`make fuzz` runs the same for a million frames.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.session import Session


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_any_session_holds(seed: int) -> None:
    Session(Random(seed)).run(150)
