"""The import of redis-py without OpenTelemetry, which it imports where that is installed, and does not use here.

Importing this module imports redis-py: do that before any module that uses it.
"""

from __future__ import annotations

from turngate.process.absent import absent

with absent("opentelemetry"):
    import redis.asyncio
    import redis.observability.providers  # noqa: F401
