"""What the client is told of what the upstream does, in which order."""
