"""Decides what may be sent upstream, and when."""
