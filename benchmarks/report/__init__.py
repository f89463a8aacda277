"""What is made of a run: tables, targets, plots, and the page in docs/."""
