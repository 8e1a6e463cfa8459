"""Seeds for every random draw, derived from what the draw is for."""

from __future__ import annotations

import hashlib
import json
import operator


def derive_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on all parts and their order, on every machine the same.

    The number 1 and the text "1" are different parts. Two purposes of one study never share a stream of random numbers
    as long as one part names the purpose: derive_seed(seed, "augment", iteration).
    """
    # index() admits NumPy's integers and refuses floats, which would make the seed depend on how they print
    text = json.dumps([part if isinstance(part, str) else operator.index(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
