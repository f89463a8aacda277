"""Benchmarks: turngate beside what it is made of, in one run, as ratios. ``make bench``, ``make soak``."""
