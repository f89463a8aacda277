"""A leash for child processes: when the process that started one is gone, however it went, so is the child.

`leashed` puts this file in front of a command. It runs first in the new process, asks the kernel for SIGKILL at the
death of the parent (``PR_SET_PDEATHSIG``, kept over exec), looks whether the parent died before it could ask, and
becomes the command. It needs no code between fork and exec in the parent, so threads there do no harm. The kernel means
the *thread* that started the child, not its process, hence the main thread only. Where there is no such call (not
Linux) the command just runs, and only an orderly end of the parent stops it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def leashed(command: Sequence[str]) -> list[str]:
    """The command on a leash that this process holds; start it at once, from the main thread.

    Raises RuntimeError in any other thread: the child would be killed when that thread ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start leashed processes from the main thread: they die with the thread that starts them")
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        import ctypes

        zero = ctypes.c_ulong(0)
        if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), zero, zero, zero):
            sys.exit("the kernel refused PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        sys.exit("the parent was gone before the leash was on")
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
