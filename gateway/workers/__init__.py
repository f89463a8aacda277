"""Several gateway processes at one port, so that one machine's cores are all used: a supervisor and its workers."""
