"""A gateway without the compiled kernel: it says so, and does not start if it cannot resample at all."""

from __future__ import annotations

import sys

import pytest
from structlog.testing import capture_logs

from gateway.app import check_kernel
from turngate import kernel
from turngate.process.settings import SettingsError


@pytest.mark.parametrize(("compiled", "events"), [(True, []), (False, ["kernel_not_compiled"])])
def test_it_is_logged_when_numpy_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, compiled: bool, events: list[str]
) -> None:
    monkeypatch.setattr(kernel, "COMPILED", compiled)
    with capture_logs() as logged:
        check_kernel()
    assert [line["event"] for line in logged] == events


def test_without_either_the_gateway_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "COMPILED", False)
    monkeypatch.setitem(sys.modules, "turngate.kernel.numpy_resampler", None)
    with pytest.raises(SettingsError, match=r"pip install 'turngate\[numpy\]'"):
        check_kernel()
