"""Find which of a teacher's defects its student inherits, and what stops it."""
