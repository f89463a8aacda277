"""``turngate demo``: runs scripted sessions against a gateway, shows them as a timeline, and checks the results.

`runner` executes the `script` and records what it sends and receives (`observations`). `checks` and `upstream_checks`
evaluate the observations and the upstream's event record; `timeline` displays them. Only `runner` and `command` do I/O.
"""
