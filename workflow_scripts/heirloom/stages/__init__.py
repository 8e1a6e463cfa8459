"""One module per rule; each has one run(...)."""
