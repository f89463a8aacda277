"""What every process of a service has: settings, logs, HTTP, supervised tasks.

structlog is imported here, before any module that uses it, and without rich, with which it could draw tracebacks: they
are text.
"""

from turngate.process.absent import absent

with absent("rich"):
    import structlog  # noqa: F401
