"""A strict simulator of the OpenAI Realtime API (GA, WebSocket).

`realtime_session.RealtimeSession` implements the protocol without I/O, `server.Simulator` serves it on a port, and
`app.run` runs that as a process. It is stricter than the real service where that exposes client mistakes, and it
records every event for tests to check.
"""
