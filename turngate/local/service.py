"""One service as a process of a stack: ``python -m turngate.local.service KIND``.

As ``turngate KIND``, without importing the other commands. What starts the stack tells of unknown settings.
"""

from __future__ import annotations

import gc
import sys


def main(kind: str) -> None:
    """Run the service of this name until it is stopped. Exits with code 2 for a wrong setting."""
    # Nothing that is imported becomes garbage, and there is much to look at. `turngate.process.garbage` enables it.
    gc.disable()
    from turngate.cli.services import SERVICES, SIMULATOR

    (service,) = [one for one in SERVICES if one.name == kind]
    if service is not SIMULATOR:
        # Before the modules that use redis-py.
        import turngate.bus.without_opentelemetry  # noqa: F401
    service.run(tells_unknown=False)


if __name__ == "__main__":
    main(sys.argv[1])
