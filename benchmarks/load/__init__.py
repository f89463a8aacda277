"""Load generation: clients and the upstream in one process, and a driver for translators alone."""
