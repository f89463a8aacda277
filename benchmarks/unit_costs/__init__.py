"""What one unit of work costs: measured with `python -m benchmarks.unit_costs`."""
