"""Child processes that are killed when their parent ends, also if the parent is killed.

`dies_with_parent` prefixes a command with this file. It runs first in the new process, requests SIGKILL at the parent's
death (``prctl(PR_SET_PDEATHSIG)``, which exec preserves), checks that the parent has not died in the meantime, and
replaces itself with the command. No code runs between fork and exec, so it is safe in a parent with threads. The kernel
sends the signal when the *thread* that started the child ends, so only the main thread may start one. On systems other
than Linux the command runs without this, and only a regular stop of the parent ends it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """A command that is killed when this process ends. Start it immediately, from the main thread.

    Raises RuntimeError in any other thread, because the child would be killed when that thread ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start child processes from the main thread: they end with the thread that starts them")
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        import ctypes

        zero = ctypes.c_ulong(0)
        if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), zero, zero, zero):
            sys.exit("the kernel refused PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        sys.exit("the parent ended before PR_SET_PDEATHSIG was set")
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
