"""The soak: thousands of sessions come and go while some stay, and nothing of them may be left. ``make soak``."""
