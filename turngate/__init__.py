"""What the services share, and the command line. The services are `gateway`, `translator` and `session_state`."""
