"""``turngate doctor``: checks a configuration against the world."""

import turngate.bus.without_opentelemetry  # noqa: F401 - before the modules that use redis-py
