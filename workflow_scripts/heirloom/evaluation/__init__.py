"""Predictions to rates with intervals."""
