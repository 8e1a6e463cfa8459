"""The attacks: one file for each kind, with its settings, what it costs and its function (heirloom.config.kinds)."""
