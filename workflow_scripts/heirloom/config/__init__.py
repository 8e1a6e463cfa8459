"""The study, its catalogues and its grid, as typed values; nothing here imports torch."""
