"""Names of keys that several scripts of this package use."""

#: The turn of a session, by its id.
SESSION_KEY = "turngate:session:"
