"""Tests under load: slow peers, and a short soak test."""
