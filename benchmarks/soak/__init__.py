"""The soak test (``make soak``): thousands of short sessions beside some long ones must leave no resources behind."""
