"""The compiled kernel: what costs most per audio frame, in C, where a compiler was at hand when turngate was installed.

Without it, `turngate.kernel.stand_ins` and `turngate.kernel.numpy_resampler` do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from turngate.kernel import stand_ins

try:
    from turngate.kernel import _kernel
except ImportError:
    COMPILED = False
    energies, scan_delta = stand_ins.energies, stand_ins.scan_delta
else:
    COMPILED = True
    energies, scan_delta = _kernel.energies, _kernel.scan_delta


class NoKernelError(Exception):
    """Nothing here can resample. The text is one line that says what to install."""


class StreamResampler(Protocol):
    """Converts mono pcm16 from one rate to another."""

    def feed(self, pcm: bytes, /) -> bytes:
        """Convert the next samples, of any number; returns all output samples that are now complete."""
        ...

    def finish(self) -> bytes:
        """The end of the output, as long as what was left out at the start. Use a new resampler for further audio."""
        ...


#: Makes one, of the coefficients (`turngate.kernel.numpy_resampler`), the ratio, and how many output samples are left
#: out at the start.
MakeResampler: TypeAlias = Callable[[bytes, int, int, int], StreamResampler]


def implementation() -> Literal["compiled", "numpy"]:
    """What resamples here. Raises `NoKernelError`."""
    if COMPILED:
        return "compiled"
    with_numpy()
    return "numpy"


def resampler() -> MakeResampler:
    """The implementation of this installation. Raises `NoKernelError`."""
    return _kernel.Resampler if COMPILED else with_numpy()


def with_numpy() -> MakeResampler:
    """The implementation that needs numpy. Raises `NoKernelError` where numpy is not installed."""
    try:
        from turngate.kernel.numpy_resampler import NumpyResampler
    except ImportError as error:
        raise NoKernelError(
            "nothing here can resample audio: when turngate was installed, there was no C compiler, or no header files "
            "of Python, and numpy is not installed either; install it (`pip install 'turngate[numpy]'`), or a compiler "
            "(Debian: gcc, libc6-dev, python3-dev) and then turngate again"
        ) from error
    return NumpyResampler
