"""``python -m tests.fuzz.kernel``: the compiled kernel under generated input, built with AddressSanitizer and UBSan.

Every buffer is an allocation of its own (``PYTHONMALLOC=malloc``), so that one byte read or written beside it ends the
process. What comes out is held against the stand-ins. A seed that fails is printed, and ``--seed`` runs it alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from array import array
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pybase64

from turngate.kernel import stand_ins

_ROOT = Path(__file__).parents[2]
_SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
#: Set in the process that has the sanitizers: the path of the library.
_LIBRARY = "TURNGATE_FUZZED_KERNEL"
_LEVELS = array("h", (251 * level - 32_000 for level in range(256))).tobytes()


def main() -> int:
    """Exit code 0 when nothing was read or written out of bounds, and every result was right."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kernel", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100_000, help="how many seeds to run")
    parser.add_argument("--seed", type=int, help="run this seed alone")
    wanted = parser.parse_args()
    library = os.environ.get(_LIBRARY)
    if library is None:
        return _under_sanitizers(sys.argv[1:])
    kernel = _loaded(library)
    seeds = range(wanted.rounds) if wanted.seed is None else [wanted.seed]
    with _seed_file(library).open("wb", buffering=0) as under_way:
        for seed in seeds:
            # The sanitizers end the process without an exception.
            os.pwrite(under_way.fileno(), b"%20d" % seed, 0)
            _round(kernel, Random(seed))
    print(f"{len(seeds):,} rounds: nothing was read or written out of bounds")
    return 0


def build(folder: Path) -> Path:
    """Build the kernel with the sanitizers; returns the library."""
    (extension,) = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["ext-modules"]
    library = folder / f"_kernel{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_path('include')}"
    sources = [str(_ROOT / source) for source in extension["sources"]]
    command = ["gcc", *extension["extra-compile-args"], *_SANITIZED, "-fPIC", "-shared", include, *sources]
    subprocess.run([*command, "-o", str(library)], check=True)
    return library


def _under_sanitizers(arguments: list[str]) -> int:
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            _LIBRARY: str(build(Path(folder))),
            "LD_PRELOAD": runtime.stdout.strip(),
            # The interpreter itself leaks at its end.
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
            "PYTHONMALLOC": "malloc",
        }
        code = subprocess.run([sys.executable, "-m", "tests.fuzz.kernel", *arguments], env=env, cwd=_ROOT).returncode
        seed = _seed_file(env[_LIBRARY])
        if code and seed.exists():
            print(f"again: python -m tests.fuzz.kernel --seed {seed.read_text().strip()}", file=sys.stderr)
        return code


def _seed_file(library: str) -> Path:
    """Where the seed is written that is under way."""
    return Path(library).with_suffix(".seed")


def _loaded(library: str) -> Any:
    loader = ExtensionFileLoader("turngate.kernel._kernel", library)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    kernel = importlib.util.module_from_spec(spec)
    loader.exec_module(kernel)
    return kernel


def _round(kernel: Any, random: Random) -> None:
    random.choice((_resample, _energies, _scan))(kernel, random)


def _size(random: Random) -> int:
    """Sizes of pieces, of which most are small and some are at an edge."""
    return random.choice((0, 1, 2, random.randrange(64), random.randrange(1_100), 1_023, 1_024, 1_025, 2_048, 5_000))


def _resample(kernel: Any, random: Random) -> None:
    up, down = random.choice(((3, 2), (1, 1), (80, 147), (1, random.randint(1, 1_024)), (random.randint(1, 12), 7)))
    taps = 8 * random.choice((1, 2, 4, 8, 64))
    delay = random.choice((0, 1, random.randrange(100), random.randrange(3_000)))
    # Each output sample is the newest input sample.
    bank = array("f", ([0.0] * (taps - 1) + [1.0]) * up).tobytes()
    resampler = kernel.Resampler(bank, up, down, delay)
    taken, pcm, out = 0, b"", b""
    for _ in range(random.randrange(1, 8)):
        piece = random.randbytes(2 * _size(random))
        if random.random() < 0.1:
            _refused(resampler.feed, piece + b"\0")
        pcm += piece
        taken += len(piece) // 2
        out += resampler.feed(memoryview(b"\0" + piece)[1:] if random.random() < 0.2 else piece)
        assert len(out) // 2 == max(0, taken * up // down - delay), (taken, up, down, delay)
    tail = resampler.finish()
    assert len(tail) // 2 == min(delay, taken * up // down)
    samples = stand_ins.pcm16(pcm)
    due = [-(-(output + 1) * down // up) - 1 for output in range(delay, delay + len(out) // 2)]
    assert out == array("h", map(samples.__getitem__, due)).tobytes()
    _refused(kernel.Resampler, bank[:-1], up, down, delay)


def _energies(kernel: Any, random: Random) -> None:
    audio, frame = random.randbytes(_size(random)), random.choice((1, 160, 480, random.randrange(1, 3_000), 2**61))
    levels = random.choice((b"", _LEVELS))
    assert kernel.energies(audio, frame, levels) == stand_ins.energies(audio, frame, levels)
    _refused(kernel.energies, audio, 1, random.randbytes(random.randrange(1, 512)))


def _scan(kernel: Any, random: Random) -> None:
    event = {"type": "response.output_audio.delta", "event_id": "e", "response_id": "resp", "item_id": "item"}
    pcm = random.randbytes(_size(random))
    whole = orjson.dumps({**event, "output_index": 10**17, "delta": pybase64.b64encode_as_string(pcm), "last": None})
    assert kernel.scan_delta(whole) == ("resp", "item", pybase64.b64encode(pcm))
    # Cut anywhere, and with bytes replaced: it is an allocation of exactly this size.
    frame = bytearray(whole[: random.randrange(len(whole) + 1)])
    for _ in range(random.randrange(4)):
        if len(frame) > 40:
            frame[random.randrange(37, len(frame))] = random.choice(b'"\\,:}{0t\x00\xff')
    found = kernel.scan_delta(bytes(frame))
    if found is not None:
        try:
            pybase64.b64decode(found[2], validate=True)
        except ValueError:
            return
        data = orjson.loads(bytes(frame))
        assert found == (data["response_id"], data["item_id"], data["delta"].encode())


def _refused(call: Any, *arguments: Any) -> None:
    try:
        call(*arguments)
    except ValueError:
        return
    raise AssertionError("it was accepted")


if __name__ == "__main__":
    sys.exit(main())
