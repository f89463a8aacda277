"""The resamplers apart from what they sound like (tests/unit/gateway/audio/test_resampling.py): what they accept."""

from __future__ import annotations

import sys
from array import array

import pytest

from tests import kernels
from turngate import kernel

#: Two phases of eight weights: the newest sample, and the one before.
BANK = array("f", [*[0] * 7, 1, *[0] * 6, 1, 0]).tobytes()


@kernels.both
def test_samples_come_from_where_the_bank_says(name: str) -> None:
    one = kernels.resampler(name)(BANK, 2, 1, 0)
    assert array("h", one.feed(array("h", [5, -6]).tobytes())).tolist() == [0, 5, 5, -6]
    assert one.feed(b"") == b""
    assert array("h", one.feed(array("h", [7]).tobytes())).tolist() == [-6, 7]
    assert one.finish() == b""


@kernels.both
def test_what_is_left_out_at_the_start_comes_at_the_end(name: str) -> None:
    one = kernels.resampler(name)(BANK, 2, 1, 3)
    assert one.feed(array("h", [5]).tobytes()) == b""
    assert array("h", one.feed(array("h", [-6, 7]).tobytes())).tolist() == [-6, -6, 7]
    assert array("h", one.finish()).tolist() == [7, 0, 0]


@kernels.both
def test_sums_are_rounded_half_to_even_and_held_within_16_bits(name: str) -> None:
    halves = array("f", [*[0] * 7, 0.5]).tobytes()
    one = kernels.resampler(name)(halves, 1, 1, 0)
    samples = array("h", [1, 3, -1, -3, 5, 32_767]).tobytes()
    assert array("h", one.feed(samples)).tolist() == [0, 2, 0, -2, 2, 16_384]
    fourfold = array("f", [*[0] * 7, 4]).tobytes()
    loud = kernels.resampler(name)(fourfold, 1, 1, 0).feed(array("h", [32_767, -32_768, 8_191]).tobytes())
    assert array("h", loud).tolist() == [32_767, -32_768, 32_764]


@kernels.both
def test_half_a_sample_is_refused_and_changes_nothing(name: str) -> None:
    one = kernels.resampler(name)(BANK, 2, 1, 0)
    with pytest.raises(ValueError, match=r"."):
        one.feed(b"\1\0\1")
    assert array("h", one.feed(array("h", [5]).tobytes())).tolist() == [0, 5]


@kernels.compiled
@pytest.mark.parametrize(
    ("bank", "up", "down", "delay"),
    [
        (BANK, 0, 1, 0),
        (BANK, 1_025, 1, 0),
        (BANK, 2, 0, 0),
        (BANK, 2, 1_025, 0),
        (BANK, 2, 1, -1),
        (BANK, 2, 1, 65_537),
        (BANK, 3, 1, 0),
        (BANK[:-1], 2, 1, 0),
        (BANK[:-4], 1, 1, 0),
        (b"", 1, 1, 0),
        (bytes(4 * 520), 1, 1, 0),
        (BANK, sys.maxsize, sys.maxsize, sys.maxsize),
    ],
)
def test_a_bank_of_another_size_is_refused(bank: bytes, up: int, down: int, delay: int) -> None:
    with pytest.raises(ValueError, match=r"the ratio or the delay is out of range|a multiple of 8 floats"):
        kernel.resampler()(bank, up, down, delay)


@kernels.compiled
def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError):
        kernel.resampler()(bytearray(BANK), 2, 1, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        kernel.resampler()(BANK, 2, 1, 0).feed("text")  # type: ignore[arg-type]


@kernels.compiled
@pytest.mark.parametrize("of", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(of: type[bytes]) -> None:
    assert kernel.resampler()(BANK, 2, 1, 0).feed(of(b"\1\0\2\0")) == array("h", [0, 1, 1, 2]).tobytes()


@kernels.compiled
def test_the_largest_bank_and_ratio_are_within_bounds() -> None:
    one = kernel.resampler()(bytes(4 * 512 * 1_024), 1_024, 1, 65_536)
    assert len(one.feed(bytes(2 * 1_500))) == 2 * (1_500 * 1_024 - 65_536)
    assert len(one.finish()) == 2 * 65_536
    other = kernel.resampler()(bytes(4 * 512), 1, 1_024, 0)
    assert [len(other.feed(bytes(2 * count))) for count in (1_023, 1, 2_047, 1)] == [0, 2, 2, 2]


def test_without_either_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "COMPILED", False)
    assert kernel.implementation() == "numpy"
    assert kernel.resampler() is kernel.with_numpy()
    monkeypatch.setitem(sys.modules, "turngate.kernel.numpy_resampler", None)
    with pytest.raises(kernel.NoKernelError, match=r"pip install 'turngate\[numpy\]'"):
        kernel.implementation()
