"""What crosses a boundary, and nothing that acts.

``agent`` is the client's wire, ``realtime`` the upstream's, ``broker`` the streams between the services.
"""
