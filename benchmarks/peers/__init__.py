"""Other servers that are measured in the same run with ``make bench PEERS=1``. Each is a separate program."""
