"""Benchmarks that compare turngate with two baselines in one run (``make bench``), and a soak test (``make soak``)."""
