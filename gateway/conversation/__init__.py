"""The decisions of one conversation, without I/O: one module for each peer that speaks."""
