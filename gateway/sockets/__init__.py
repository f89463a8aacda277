"""WebSockets: two libraries behind one interface, and the send queue."""
