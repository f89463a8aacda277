"""Maps client messages to upstream configuration, items and responses: pure functions, one module per concern."""
