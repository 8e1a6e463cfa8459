"""The plan of a study: every job as one list, which rules, targets, estimates, tables and repairs read."""
