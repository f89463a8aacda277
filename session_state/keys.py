"""Names of keys that several modules of this package use."""

#: The turn of a session, by its id.
SESSION_KEY = "turngate:session:"
#: The journal of a session, by its id: a hash of its parts (`owners.lua`).
JOURNAL_KEY = "turngate:journal:"
#: The channel of those who watch all sessions; with ``:`` and an id after it, that of one session.
WATCH_CHANNEL = "turngate:watch"
