"""What the models of one evaluation are, and every condition under which they see the test images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from heirloom.attacks.perturbations import crafted, open_perturbations
from heirloom.config.attacks import AttackControl, OnTeacher
from heirloom.config.kinds import ATTACKS
from heirloom.config.names import TEACHER
from heirloom.config.study import Trigger
from heirloom.data.store import Part
from heirloom.defects.show import LoadedTrigger, evaluation_trigger, load_triggers
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import CLEAN, Condition, StudentName
from heirloom.models.predictions import ImageTransform


@dataclass(frozen=True)
class EvaluationFiles:
    """The test part, the students, their teacher where it can be judged, triggers' files, crafted attacks."""

    card: Path
    images: Path
    index: Path
    students: list[Path]
    student_weights: list[Path]
    teacher_card: list[Path] = field(default_factory=list)
    teacher_weights: list[Path] = field(default_factory=list)
    triggers: list[Path] = field(default_factory=list)
    perturbations: list[Path] = field(default_factory=list)
    perturbation_cards: list[Path] = field(default_factory=list)

    def models(self, students: list[StudentName]) -> list[tuple[StudentName, Path, Path]]:
        """Return each model's name with its card and weights, sorted; `students` are parallel to the files'."""
        found = list(zip(students, self.students, self.student_weights, strict=True))
        teachers = zip(self.teacher_card, self.teacher_weights, strict=True)
        return sorted([*found, *((StudentName(TEACHER, 0), *files) for files in teachers)])

    def loaded(self, triggers: Mapping[str, Trigger]) -> dict[str, LoadedTrigger]:
        """Load triggers, whose files are in their order, by name. Raises DataError."""
        return load_triggers(triggers, self.triggers)

    def conditions(
        self,
        part: Part,
        *,
        triggers: Mapping[str, Trigger],
        feature_attacks: Mapping[str, OnTeacher],
        noise: Mapping[str, AttackControl],
        seed: int = 0,
    ) -> list[Condition]:
        """Return the conditions, clean images among them, sorted by name.

        `triggers` and `feature_attacks` stand in the order of their files; `seed` settles what a trigger draws. Raises
        DamagedFileError, and DataError for a picture that cannot be read or perturbations of something else.
        """
        loaded = self.loaded(triggers)
        found = [
            Condition(CLEAN),
            *(_triggered(name, trigger, loaded[name], seed) for name, trigger in triggers.items()),
            *self._crafted(part, feature_attacks),
            *(ATTACKS.load(attack.kind).attack(name, attack) for name, attack in noise.items()),
        ]
        return sorted(found, key=lambda condition: condition.name)

    def _crafted(self, part: Part, attacks: Mapping[str, OnTeacher]) -> Iterator[Condition]:
        """Show what was crafted on the teacher."""
        files = zip(attacks.items(), self.perturbations, self.perturbation_cards, strict=True)
        for (name, attack), path, card in files:
            yield crafted(name, open_perturbations(path, card, part=part, data_card=self.card, attack=attack))


def _triggered(name: str, trigger: Trigger, loaded: LoadedTrigger, seed: int) -> Condition:
    """Show a trigger; for the same seed in the same way, whoever looks."""
    budget = json.dumps(trigger.budget(), sort_keys=True)
    return Condition(name, budget, partial(_showing, trigger=loaded, name=name, seed=seed))


def _showing(_model: Classifier, *, trigger: LoadedTrigger, name: str, seed: int) -> ImageTransform:
    show = evaluation_trigger(trigger, name, seed)
    return lambda images, _rows: show(images)
