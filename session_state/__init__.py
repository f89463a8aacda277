"""Whether a response is active, and what waits for it to end, for every session of the fleet.

Only this package reads or writes session keys. Translators call `session_state.client`, gateways
`session_state.owners`.
"""
