"""Robust critical fine-tuning: which module a robust model can spare, and how far it may move (METHODS 3)."""
