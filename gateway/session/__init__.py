"""The shell of one session: its tasks, its timer, its sockets, and what it publishes."""
