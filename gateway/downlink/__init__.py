"""Converts upstream events to messages for the client, in order."""
