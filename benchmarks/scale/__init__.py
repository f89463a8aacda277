"""What many sessions need, from measured unit costs, and a simulation of the loss of a server: docs/scale.md."""
