"""``python -m tests.fuzz``: sessions under generated frames, until there were enough or time is up; prints how many.

A seed that fails is printed, and ``--seed`` runs it alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from random import Random

from tests.fuzz.session import Session
from tests.progress import Progress

#: Steps of one session, and sessions of one piece of work.
_STEPS, _SESSIONS = 400, 25
#: Of the frames that go out, one in so many is held against the official SDKs.
_JUDGE_EVERY = 20


def main() -> int:
    """Exit code 0 when every session held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="how many frames to hand in at least")
    parser.add_argument("--minutes", type=float, default=10.0, help="when to stop in any case")
    parser.add_argument("--seed", type=int, help="run the session of this seed alone, every frame judged")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        print(f"{_session(wanted.seed, 1)} frames")
        return 0
    ends = time.monotonic() + wanted.minutes * 60
    frames = sessions = 0
    progress = Progress(wanted.frames, "frames")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        starts = count(wanted.first, _SESSIONS)
        while frames < wanted.frames and time.monotonic() < ends:
            pieces = [next(starts) for _ in range(4 * (os.cpu_count() or 1))]
            for failed, handed_in in pool.map(_piece, pieces):
                if failed:
                    progress.close()
                    print(failed, file=sys.stderr)
                    return 1
                frames += handed_in
                sessions += _SESSIONS
                progress.at(min(frames, wanted.frames))
    progress.close()
    print(f"{frames:,} frames in {sessions:,} sessions: every session held")
    return 0


def _piece(first: int) -> tuple[str, int]:
    """What failed, if anything did, and how many frames were handed in."""
    frames = 0
    for seed in range(first, first + _SESSIONS):
        try:
            frames += _session(seed, _JUDGE_EVERY)
        except Exception:
            return f"{traceback.format_exc()}\nagain: python -m tests.fuzz --seed {seed}", frames
    return "", frames


def _session(seed: int, judge_every: int) -> int:
    return Session(Random(seed), judge_every=judge_every).run(_STEPS)


if __name__ == "__main__":
    sys.exit(main())
