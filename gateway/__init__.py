"""The sockets, the turn, and the one place from which anything goes upstream."""
