"""What turngate is compared with, each a program of its own."""
