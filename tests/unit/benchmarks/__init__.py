"""What the benchmarks and the soak compute."""
