"""The energy of audio, frame by frame: the same number from both implementations."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import kernels
from turngate import kernel
from turngate.kernel import stand_ins

LEVELS = array("h", (level * 251 - 32_000 for level in range(256))).tobytes()


@pytest.mark.parametrize("name", [pytest.param("compiled", marks=kernels.compiled), "python"])
def test_each_whole_frame_has_the_sum_of_its_squares(name: str) -> None:
    energies = kernels.energies(name)
    samples = array("h", [1, -2, 3, -32_768, 32_767, 0, 5])
    assert energies(samples.tobytes(), 3, b"") == [14, 32_768**2 + 32_767**2]
    assert energies(memoryview(bytearray(samples.tobytes()))[1:], 6, b"") == [
        sum(sample * sample for sample in array("h", samples.tobytes()[1:13]))
    ], "wherever the samples lie"
    assert energies(samples, 7, b"") == [sum(sample * sample for sample in samples)], "any buffer"
    assert energies(bytes([0, 255, 1]), 2, LEVELS) == [32_000**2 + (255 * 251 - 32_000) ** 2]
    assert energies(b"", 1, b"") == energies(b"\x01", 1, b"") == energies(b"\x01", 2, LEVELS) == []


@pytest.mark.parametrize("name", [pytest.param("compiled", marks=kernels.compiled), "python"])
def test_what_makes_no_sense_is_refused(name: str) -> None:
    energies = kernels.energies(name)
    for frame, levels in ((0, b""), (-1, b""), (1, LEVELS[:-1]), (1, LEVELS + b"\0")):
        with pytest.raises(ValueError, match="a frame has at least one sample, and there are 256 levels or none"):
            energies(b"\1\2", frame, levels)
    for audio in ("text", None, 3):
        with pytest.raises(TypeError):
            energies(audio, 1, b"")  # type: ignore[arg-type]


@kernels.compiled
@given(audio=st.binary(max_size=4_000), frame=st.integers(1, 700), levels=st.sampled_from([b"", LEVELS]))
def test_both_implementations_say_the_same(audio: bytes, frame: int, levels: bytes) -> None:
    assert kernel.energies(audio, frame, levels) == stand_ins.energies(audio, frame, levels)
