"""Wide residual networks (Zagoruyko and Komodakis, BMVC 2016), named as robustness papers name their parts."""

from __future__ import annotations

from types import MappingProxyType

from heirloom.models.body import BodySpec

MEMBERS = {
    "wide-resnet": BodySpec(
        f"{__name__}.network:wide_resnet",
        stages=("block1", "block2", "block3"),
        features="fc",
        head="fc",
        options=MappingProxyType({"depth": 34, "width": 10, "pooled_side": 1}),
        reader=f"{__name__}.network:read",
    )
}
