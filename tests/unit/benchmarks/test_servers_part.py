"""The ratio of two Redis servers to one: only where it was the servers that limited."""

from __future__ import annotations

import pytest

from benchmarks.parts.servers import ServersSample, ratio
from benchmarks.usage import Usage


def sample(*per_second: float, used: float | None = 1.0) -> ServersSample:
    usage = Usage(2.0, {"broker": 0.08}, 0.1, 1.0)
    return ServersSample(per_second, 0.2, usage, () if used is None else (used,) * len(per_second))


def test_the_medians_are_compared() -> None:
    found = {1: [sample(500), sample(400), sample(600)], 2: [sample(450, 500), sample(100, 100), sample(600, 600)]}
    assert ratio(found) == pytest.approx(1.9)
    assert sample(500).broker_cpu == pytest.approx(80e-6)


@pytest.mark.parametrize("used", [None, 0.89])
def test_it_is_not_known_where_something_else_limited(used: float | None) -> None:
    assert ratio({1: [sample(500)], 2: [sample(450, 450, used=used)]}) is None
    assert ratio({1: [sample(500, used=used)], 2: [sample(450, 450)]}) is None
    assert ratio({1: [sample(500)]}) is None
