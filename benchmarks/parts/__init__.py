"""The parts of a run. Each measures one aspect."""
