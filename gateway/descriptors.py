"""The process's limit of open files. Each session needs two, its sockets to the client and to the upstream."""

from __future__ import annotations

import math
import resource

from gateway import log_events

PER_SESSION = 2
#: For Redis, HTTP, log files and what Python opens.
RESERVE = 128


def sessions_that_fit(wanted: int, workers: int = 1) -> int:
    """Raise the soft limit to the hard one. Returns how many of the ``wanted`` sessions the limit allows in this
    process; if that is fewer than its share, as one of several ``workers``, a warning is logged."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fit = wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, (hard - RESERVE) // PER_SESSION))
    share = math.ceil(wanted / workers)
    if fit < share:
        needed = share * PER_SESSION + RESERVE
        log_events.sessions_limited(sessions=fit, wanted=share, open_files=hard, open_files_needed=needed)
    return fit
