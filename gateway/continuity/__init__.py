"""The conversation as data, and how it is restored on another connection to the upstream. No I/O."""
