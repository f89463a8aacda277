"""The report of a run: tables, targets, plots, and docs/performance.md."""
