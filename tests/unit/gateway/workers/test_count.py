"""How many workers a gateway has."""

from __future__ import annotations

import pytest

from gateway.config import GatewaySettings
from gateway.workers import count
from gateway.workers.count import workers_of
from turngate.process.settings import SettingsError, load


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (4, 4), (96, 64)])
def test_auto_is_one_for_each_core(cores: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "usable_cores", lambda: cores)
    assert workers_of("auto") == workers
    assert workers_of(3) == 3


@pytest.mark.parametrize(("given", "read"), [("1", 1), ("64", 64), ("auto", "auto")])
def test_the_setting_takes_a_number_or_auto(given: str, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_GATEWAY_WORKERS", given)
    assert load(GatewaySettings).gateway_workers == read


@pytest.mark.parametrize("given", ["0", "65", "-1", "2.5", "all", "٣"])
def test_anything_else_is_refused_in_one_line(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_GATEWAY_WORKERS", given)
    with pytest.raises(SettingsError) as refused:
        load(GatewaySettings)
    assert str(refused.value) == f"TURNGATE_GATEWAY_WORKERS: a number from 1 to 64, or `auto`, not {given!r}"
