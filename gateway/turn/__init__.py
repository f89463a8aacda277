"""What may go upstream, and when."""
