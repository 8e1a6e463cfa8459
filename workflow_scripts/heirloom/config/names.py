"""Names that the results give a meaning of their own."""

from __future__ import annotations

CLEAN = "none"  # the injection of a teacher that nothing was done to, and the attack of a clean image
UNREPAIRED = "unrepaired"  # the method that the results name for a robust model before any repair
TEACHER = "teacher"  # the method that the results name for a teacher itself
MEAN = "mean"  # the data set that the results name for an average over data sets
OWN_BOX, BLACK_BOX = "white-box", "black-box"  # images that a model was attacked for; that another one was
RESTORED = "restored"  # the stage of a body at which it passes on the image that it restored


def shown_from(substitute: str) -> str:
    """The column `condition` of images that were attacked through another model."""
    return f"from-{substitute}"
