"""The translator service: translates client messages into upstream terms. Stateless, so any number can run."""
