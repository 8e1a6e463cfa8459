"""Robust critical fine-tuning: which module a model can spare, and how far it may move (docs/definitions.md#rift)."""
