"""What convolution weights are ranked by before some are set to 0, one file each (docs/methods.md#scores-of-weights).

A file holds the score's settings and `score(student, settings, assignment) -> Scored`. `student` is at the teacher's
weights with a fresh head; it comes back as it was, unless the settings ask for the published no-op.
"""
