"""Square, which asks for answers and no gradient, by pyautoattack (Andriushchenko et al., ECCV 2020)."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from heirloom.attacks.autoattack import LIBRARY
from heirloom.attacks.crafting import Batch, condition
from heirloom.config.attacks import SquareAttack
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier
from heirloom.runtime.seeds import derive_seed

_FIRST_SHARE = 0.8  # of the image that the first square covers, as in AutoAttack


def square(name: str, attack: SquareAttack, part: Part) -> Condition:
    """Try squares of random signs, of falling size. The library draws for a whole batch at once."""
    return condition(name, attack, part, partial(_squares, attack=attack), library=LIBRARY)


def _squares(source: Classifier, batch: Batch, *, attack: SquareAttack) -> Tensor:
    from pyautoattack.square import SquareAttack as Squares

    squares = Squares(
        source,
        norm=attack.norm,
        eps=attack.epsilon,
        n_queries=attack.queries,
        n_restarts=attack.restarts,
        p_init=_FIRST_SHARE,
        resc_schedule=True,  # the sizes fall over the queries there are, not over 10,000
        seed=derive_seed(attack.seed, "square", int(batch.rows[0])),
        device=batch.images.device,
    )
    found: Tensor = squares.perturb(batch.images, batch.labels)
    return found
