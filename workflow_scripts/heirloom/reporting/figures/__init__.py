"""Figures with reproducible bytes, one module each; `style` holds what they share."""
