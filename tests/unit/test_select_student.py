"""Which candidate is chosen, by what, and what is refused."""

from __future__ import annotations

import pytest

from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.stages import select_student
from tests.unit import toy

SEEDS = [3, 4]


@pytest.fixture
def candidates(tmp_path):
    """Write students of named candidates with validation accuracies per seed; return the stage's inputs for a seed."""

    def write(accuracies, seed):
        cards, weights, histories = [], [], []
        for name, values in accuracies.items():
            for each, value in zip(SEEDS, values, strict=True):
                files = toy.model_files(tmp_path / name / str(each))
                files.weights.parent.mkdir(parents=True, exist_ok=True)
                files.weights.write_text(f"weights of {name} {each}")
                files.history.write_text(f"history of {name} {each}")
                parts = {path.name: path for path in (files.weights, files.history)}
                write_card(files.card, kind="student", files=parts, validation_accuracy=value, method=name, seed=each)
                cards.append(files.card)
                if each == seed:
                    weights.append(files.weights)
                    histories.append(files.history)
        return select_student.Inputs(cards, weights, histories)

    return write


def select(inputs, names, out, seed):
    files = toy.model_files(out)
    select_student.run(inputs=inputs, outputs=files, candidates=names, seeds=SEEDS, seed=seed)
    return files, read_card(files.card)


def test_the_best_mean_over_seeds_wins_for_every_seed(candidates, tmp_path):
    # "b" has the best single seed, "a" the best mean
    accuracies = {"a": (0.6, 0.6), "b": (0.9, 0.1), "c": (0.5, 0.5)}
    for seed in SEEDS:
        files, card = select(candidates(accuracies, seed), list(accuracies), tmp_path / f"out{seed}", seed)
        assert files.weights.read_text() == f"weights of a {seed}"
        assert files.history.read_text() == f"history of a {seed}"
        assert card["selection"] == {
            "chosen": "a",
            "validation_accuracy": {"a": 0.6, "b": 0.5, "c": 0.5},
            "seeds": 2,
        }
        assert (card["kind"], card["method"], card["seed"]) == ("student", "a", seed)
        assert card["files"]["weights.safetensors"]["sha256"] == sha256_of(files.weights)


def test_of_equals_the_first_named_wins(candidates, tmp_path):
    accuracies = {"later": (0.5, 0.5), "earlier": (0.5, 0.5)}
    _, card = select(candidates(accuracies, 3), ["later", "earlier"], tmp_path / "out", 3)
    assert card["selection"]["chosen"] == "later"


def test_a_candidate_without_validation_is_refused(candidates, tmp_path):
    inputs = candidates({"a": (0.5, 0.5), "b": (None, 0.5)}, 3)
    with pytest.raises(DataError, match=r"the candidate b was never validated"):
        select(inputs, ["a", "b"], tmp_path / "out", 3)


def test_a_damaged_winner_is_refused(candidates, tmp_path):
    inputs = candidates({"a": (0.5, 0.5), "b": (0.1, 0.1)}, 3)
    inputs.weights[0].write_text("weights of ? 3")
    with pytest.raises(DamagedFileError, match="sha256 differs"):
        select(inputs, ["a", "b"], tmp_path / "out", 3)
