"""Layouts of data sets on disk, one a file; the file is named as `layout:` in the data set catalogue.

Each has read(root), which finds its folder at or below `root` and turns it into a `Listing` of samples without opening
a picture, and TEST_SHARE, the share of each class that becomes the test part, where the owner made none.
"""
