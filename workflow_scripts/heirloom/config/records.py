"""What a study unfolds into: students, the evaluations they are judged in, attacks and slices, with their folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from heirloom.config import paths
from heirloom.config.names import UNREPAIRED


@dataclass(frozen=True, order=True)
class Evaluation:
    """All students of one teacher, injection and data set, judged together."""

    teacher: str
    injection: str
    dataset: str

    def folder(self, study: str) -> str:
        """Where its predictions lie."""
        return paths.evaluation_folder(study=study, **vars(self))

    def attention_folder(self, study: str) -> str:
        """Where its attention maps lie."""
        return paths.attention_folder(study=study, **vars(self))


@dataclass(frozen=True, order=True)
class Student:
    """One student; its evaluation says where it comes from."""

    evaluation: Evaluation
    method: str
    seed: int

    def folder(self, study: str) -> str:
        """Where its weights lie."""
        return paths.student_folder(study=study, **vars(self.evaluation), method=self.method, seed=self.seed)

    def white_box_folder(self, study: str) -> str:
        """Where the predictions of attacks on the student itself lie."""
        return paths.white_box_folder(study=study, **vars(self.evaluation), method=self.method, seed=self.seed)


@dataclass(frozen=True, order=True)
class Crafted:
    """An attack that is crafted once for all students of an evaluation."""

    evaluation: Evaluation
    attack: str

    def folder(self, study: str) -> str:
        """Where its perturbations lie."""
        return paths.attack_folder(study=study, **vars(self.evaluation), attack=self.attack)


@dataclass(frozen=True, order=True)
class Slice:
    """A teacher as a pruning method leaves it before any fine-tuning: what an attacker who knows the slice drives."""

    evaluation: Evaluation
    method: str

    def folder(self, study: str) -> str:
        """Where its weights lie."""
        return paths.slice_folder(study=study, **vars(self.evaluation), method=self.method)


@dataclass(frozen=True, order=True)
class Detection:
    """A detector's look at an injected teacher."""

    evaluation: Evaluation
    detector: str

    def folder(self, study: str) -> str:
        """Where its findings lie."""
        return paths.detection_folder(study=study, **vars(self.evaluation), detector=self.detector)


@dataclass(frozen=True, order=True)
class Robust:
    """A robust model before any repair."""

    model: str
    seed: int

    @property
    def folder(self) -> str:
        """Where its weights lie."""
        return paths.robust_folder(**vars(self))

    def criticality_folder(self, study: str) -> str:
        """Where the criticality of its modules lies."""
        return paths.criticality_folder(study=study, **vars(self))


@dataclass(frozen=True, order=True)
class Repaired:
    """A robust model after a repair, or "unrepaired" where it stands for itself; `start`: before the repair."""

    start: Robust
    repair: str
    seed: int

    @property
    def names(self) -> dict[str, str]:
        """What tells it from the others, by wildcard."""
        return {"model": self.start.model, "repair": self.repair, "seed": str(self.seed)}

    def folder(self, study: str) -> str:
        """Where its weights lie."""
        if self.repair == UNREPAIRED:
            return self.start.folder
        return paths.repaired_folder(study=study, **self.names)

    def finetuned_folder(self, study: str) -> str:
        """Where what was fine-tuned lies."""
        return paths.finetuned_folder(study=study, **self.names)

    def robustness_folder(self, study: str) -> str:
        """Where its predictions lie."""
        return paths.robustness_folder(study=study, **self.names)


@dataclass(frozen=True, order=True)
class Attacked:
    """A suite of attacks through one model: on itself ("white-box"), or crafted on it for others ("black-box")."""

    box: str
    model: str
    suite: str
    seed: int

    def folder(self, study: str) -> str:
        """Where the predictions under its attacks lie."""
        return paths.attacked_folder(study=study, **vars(self))


def canonical(model: BaseModel) -> dict[str, Any]:
    """A model as a mapping with sorted keys and JSON values only, so that equal settings are equal parameters."""
    return dict(json.loads(json.dumps(model.model_dump(mode="json"), sort_keys=True)))
