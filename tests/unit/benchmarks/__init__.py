"""Tests of the computations in the benchmarks and the soak test."""
