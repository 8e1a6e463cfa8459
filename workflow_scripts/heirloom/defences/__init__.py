"""Defences that look at a teacher itself: detectors of backdoors, and what they find."""
