"""Tests of docs/scale.md: what is computed, and what is simulated."""
