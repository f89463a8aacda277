"""A strict stand-in for the OpenAI Realtime API (GA, WebSocket).

`conversation.Conversation` is the whole protocol without I/O, `server.Simulator` puts it on a port, `app.run` makes a
process of it. It is stricter than the real service where that finds mistakes, and it keeps a record for judges.
"""
