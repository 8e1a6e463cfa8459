"""Rates to tables, figures and sentences."""
