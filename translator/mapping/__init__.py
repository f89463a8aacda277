"""One module per concern: from a client's message to the upstream's terms."""
