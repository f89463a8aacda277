"""The baselines with which turngate is compared. Each is a separate program."""
