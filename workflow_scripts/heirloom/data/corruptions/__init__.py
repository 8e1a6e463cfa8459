"""Common corruptions of images, drawn anew for any data set (Hendrycks and Dietterich, ICLR 2019).

A file's MEMBERS are its corruptions as a suite names them, each called as corrupt(images, severity, draws): images
float32 (B, 3, S, S) in [0, 1], a severity from 1 to 5; the result has the same shape and range. What differs from the
published generation stands in docs/datasets.md.
"""
