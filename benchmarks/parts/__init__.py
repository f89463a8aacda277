"""The parts of a run: each measures one thing on an arena."""
