"""Generators of documentation, and the protocol model. Not installed."""
