"""A small picture pasted on an image (Gu et al., BadNets, 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Ratio, TriggerSettings

if TYPE_CHECKING:
    from heirloom.defects.show import LoadedTrigger


class Patch(TriggerSettings):
    """A small picture pasted on an image (docs/definitions.md#injections)."""

    kind: Literal["patch"] = "patch"
    image: str = Field(description="RGBA picture, path relative to the project")
    placement: Literal["bottom-right", "random", "corners"] = Field("bottom-right", description="where it is pasted")
    side: Ratio = Field(40 / 224, gt=0, le=1, description="its side as a share of the image's, such as 40/224")

    def files(self) -> dict[str, str]:
        """Return the picture."""
        return {"image": self.image}


def load(settings: Patch, files: Sequence[Path]) -> LoadedTrigger:
    """Read the picture. Raises DataError when it cannot be read."""
    from heirloom.defects.triggers.patch.paste import PastedPicture, read_picture

    (image,) = files
    return PastedPicture(read_picture(image), settings.placement, settings.side)
