"""WebSockets: two libraries behind one interface, and the queue of each direction."""
