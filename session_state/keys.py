"""Names of keys that several scripts of this package use."""

#: The turn of a session, by its id.
SESSION_KEY = "turngate:session:"
#: The channel of those who watch all sessions; with ``:`` and an id after it, that of one session.
WATCH_CHANNEL = "turngate:watch"
