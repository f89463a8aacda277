"""What does not grow and does not suffer: slow peers, and the soak."""
