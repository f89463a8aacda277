"""The I/O of one session: tasks, timer, connections, and publishing."""
