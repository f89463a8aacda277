"""The load: clients and the upstream in one process, and a driver for translators alone."""
