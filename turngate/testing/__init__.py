"""turngate in other people's tests: the whole stack, or the simulator alone, as processes that end with the test.

Fixtures for pytest are in `turngate.testing.fixtures`, a class for testcontainers in `turngate.testing.container`.
"""

from turngate.testing.processes import NotStarted, Simulator, Stack, start_simulator, start_stack

__all__ = ["NotStarted", "Simulator", "Stack", "start_simulator", "start_stack"]
