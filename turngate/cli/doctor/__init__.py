"""``turngate doctor``: checks a configuration against the world."""
