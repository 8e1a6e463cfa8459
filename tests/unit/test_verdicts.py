"""A model whose answers are no numbers is told by name, and nothing of it is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from heirloom.config.models import Normalisation, RemoteFile
from heirloom.config.robust import Judge
from heirloom.config.robust_training import InnerAttack
from heirloom.data.resident import Images
from heirloom.defects.triggers.patch import Patch
from heirloom.defences.detectors.neural_cleanse import NeuralCleanse
from heirloom.evaluation.judge import judge_rates
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import StudentName
from heirloom.models.verdicts import decided, named, try_out
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.runtime.errors import HeirloomError, PredictionError, TrainingError, WeightsError
from heirloom.runtime.files import write_card
from heirloom.stages import (
    attack_model,
    attack_student,
    craft_feature_attack,
    detect_backdoor,
    evaluate_robust,
    evaluate_students,
    fetch_robust,
    fetch_teacher,
    map_attention,
)
from heirloom.training.phases import StepHook, supervised_phase
from heirloom.training.session import TransferFiles, lesson_of
from tests.unit import attacked, toy
from tests.unit.hostile import check_words

ATTACKS = {"pgd": attacked.pgd(steps=1)}


def overflowing() -> Classifier:
    """A model of finite weights, as any file can hold them, whose logits are infinite."""
    model = toy.classifier()
    with torch.no_grad():
        model.head.weight.fill_(3e38)
        model.body.get_submodule("layer3")[-1].bn2.bias.fill_(3)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a trigger's picture, and a model that passes every check of its weights."""
    folder = tmp_path_factory.mktemp("verdicts")
    toy.write_data(folder / "data", images=12)
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(folder / "dot.png")
    model, files = overflowing(), toy.model_files(folder / "model")
    save_classifier(files.weights, model)
    facts = architecture_facts(model) | {"class_names": [f"class {label}" for label in range(3)], "dataset": "toy"}
    write_card(files.card, kind="student", files={files.weights.name: files.weights}, **facts)
    return folder


# -- one place ---------------------------------------------------------------------------------------------------------


def test_logits_give_the_largest_and_its_softmax() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, -5.0, 0.0]])
    labels, confidences = decided(logits)
    assert labels.tolist() == [1, 0]
    assert torch.equal(confidences, logits.softmax(1).amax(1))


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
def test_no_label_is_made_of_what_is_no_number(odd: float) -> None:
    """The softmax of a row with -inf, and the argmax of any row, look like an answer."""
    logits = torch.zeros(5, 3)
    logits[3, 1] = odd
    with pytest.raises(PredictionError, match="1 of 5 images"):
        decided(logits)


def test_the_innermost_names_count_and_other_errors_pass() -> None:
    outer, inner = named("a", dataset="d", condition="x"), named("b", dataset="e", condition="y")
    with pytest.raises(PredictionError) as told, outer, inner:
        decided(torch.full((1, 2), torch.nan))
    assert told.value.where == "model b, data set e, condition y"
    with pytest.raises(KeyError), named("a", dataset="d", condition="x"):
        raise KeyError


# -- every way to a prediction -----------------------------------------------------------------------------------------


def _students(folder: Path, out: Path) -> None:
    model = toy.model_files(folder / "model")
    evaluate_students.run(
        inputs=evaluate_students.Inputs(
            **toy.files_of(folder / "data", "test"),
            students=[model.card],
            student_weights=[model.weights],
            teacher_card=[],
            teacher_weights=[],
            triggers=[folder / "dot.png"],
        ),
        outputs=evaluate_students.Outputs(out / "predictions.parquet"),
        students=[StudentName("tuned", 7)],
        triggers={"dot": Patch(image="dot.png", side=0.25)},
        batch_size=5,
        threads=1,
    )


def _attacked_student(folder: Path, out: Path) -> None:
    model = toy.model_files(folder / "model")
    attack_student.run(
        inputs=attack_student.Inputs(
            **toy.files_of(folder / "data", "test"), student_card=model.card, student_weights=model.weights
        ),
        outputs=attack_student.Outputs(out / "predictions.parquet"),
        attacks=ATTACKS,
        method="tuned",
        seed=7,
        batch_size=5,
        threads=1,
    )


def _robust(folder: Path, out: Path) -> None:
    model = toy.model_files(folder / "model")
    evaluate_robust.run(
        inputs=evaluate_robust.Inputs(
            **toy.files_of(folder / "data", "test"), model_card=model.card, model_weights=model.weights
        ),
        outputs=evaluate_robust.Outputs(*(out / name for name in ("card.json", "p.parquet", "m.parquet"))),
        attacks=ATTACKS,
        repair="tuned",
        seed=7,
        batch_size=5,
        attack_batch_size=5,
        threads=1,
        code="code",
    )


def _attacked_model(folder: Path, out: Path, *, clean: bool) -> None:
    model = toy.model_files(folder / "model")
    attack_model.run(
        inputs=attack_model.Inputs(
            **toy.files_of(folder / "data", "test"),
            model_card=model.card,
            model_weights=model.weights,
            target_cards=[],
            target_weights=[],
        ),
        outputs=attack_model.Outputs(*(out / name for name in ("card.json", "p.parquet", "m.parquet", "pictures.npz"))),
        attacks=ATTACKS,
        box="white-box",
        model="tuned",
        targets=["tuned"],
        clean=clean,
        shown={},
        seed=7,
        batch_size=5,
        attack_batch_size=5,
        threads=1,
        code="code",
    )


def _maps(folder: Path, out: Path) -> None:
    model = toy.model_files(folder / "model")
    map_attention.run(
        inputs=map_attention.Inputs(
            **toy.files_of(folder / "data", "test"),
            students=[model.card],
            student_weights=[model.weights],
            teacher_card=[],
            teacher_weights=[],
            triggers=[folder / "dot.png"],
        ),
        outputs=map_attention.Outputs(out / "measures.parquet", out / "panels.npz", out / "card.json"),
        students=[StudentName("tuned", 7)],
        triggers={"dot": Patch(image="dot.png", side=0.25)},
        feature_attacks={},
        noise={},
        recipe=map_attention.Recipe(maps=["activation"], stage=2, images=None, seed=0, named=False),
        sheets={},
        batch_size=5,
        threads=1,
    )


def _detector(folder: Path, out: Path) -> None:
    teacher = toy.model_files(folder / "model")
    detect_backdoor.run(
        inputs=TransferFiles(
            **toy.files_of(folder / "data"), teacher_card=teacher.card, teacher_weights=teacher.weights
        ),
        outputs=detect_backdoor.Outputs(out / "card.json", out / "measures.parquet", out / "reversed.npy"),
        detector=NeuralCleanse(kind="neural-cleanse", rounds=1),
        name="cleanse",
        asked=[0],
        threads=1,
        code="code",
    )


def _crafted(folder: Path, out: Path) -> None:
    teacher = toy.model_files(folder / "model")
    craft_feature_attack.run(
        inputs=craft_feature_attack.Inputs(
            **toy.files_of(folder / "data", "test"), teacher_card=teacher.card, teacher_weights=teacher.weights
        ),
        outputs=craft_feature_attack.Outputs(out / "card.json", out / "perturbations.npy"),
        attack=attacked.feature(steps=1),
        batch_size=5,
        threads=1,
    )


WAYS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "students": (_students, "model tuned (seed 7), data set toy, condition dot"),
    "an attacked student": (_attacked_student, "model tuned (seed 7), data set toy, condition pgd"),
    "a robust model": (_robust, "model tuned (seed 7), data set toy, condition none"),
    "a model": (partial(_attacked_model, clean=True), "model tuned (seed 7), data set toy, condition none"),
    "an attacked model": (partial(_attacked_model, clean=False), "model that is attacked, data set toy, condition pgd"),
    "attention": (_maps, "model tuned (seed 7), data set toy, condition none"),
    "a feature attack": (_crafted, "model teacher, data set toy, condition none"),
    "a detector": (_detector, "model teacher, data set toy, condition detector cleanse"),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_written_of_a_model_that_answers_with_no_numbers(folder: Path, tmp_path: Path, way: str) -> None:
    run, where = WAYS[way]
    with pytest.raises(PredictionError, match="no finite numbers") as told:
        run(folder, tmp_path)
    assert told.value.where == where
    check_words(told.value)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".parquet", ".json", ".npy", ".npz"}]


def test_a_judge_takes_no_infinite_answer_for_a_wrong_one(folder: Path) -> None:
    images = Images(toy.opened(folder / "data"), torch.device("cpu"))
    with pytest.raises(PredictionError):
        judge_rates(overflowing(), images, Judge(attack=InnerAttack()))


# -- trainings ---------------------------------------------------------------------------------------------------------


class Spoiling(StepHook):
    """Sets a weight after each step to what a step too far would have left."""

    def __init__(self, value: float) -> None:
        self.value = value

    @torch.no_grad()
    def after_step(self, model: Classifier, _iteration: int) -> None:
        """Set all weights of the head to the value."""
        model.head.weight.fill_(self.value)


@pytest.mark.parametrize(
    ("value", "validation", "told"),
    [
        (torch.nan, 0.2, "validation after iteration 1"),
        (torch.nan, 0, r"ends with weights.*fc\.weight"),
        (torch.inf, 0, r"ends with weights.*fc\.weight"),
    ],
)
def test_a_student_that_diverges_in_its_last_step_is_told_and_not_left(
    tmp_path: Path, value: float, validation: float, told: str
) -> None:
    """The loss is computed before the step: no loss tells of the last one."""
    data = toy.write_data(tmp_path / "data", validation=validation)
    phases = (supervised_phase(toy.recipe(iterations=1), hooks=(Spoiling(value),)),)
    with pytest.raises(TrainingError, match=told) as caught:
        toy.train(toy.classifier(), lesson_of(toy.opened(data), toy.STILL), phases, tmp_path / "out")
    check_words(caught.value)
    assert "learning_rate" in caught.value.mend


def test_a_training_whose_start_answers_with_no_numbers_blames_the_start(tmp_path: Path) -> None:
    data = toy.write_data(tmp_path / "data")
    phases = (supervised_phase(toy.recipe(iterations=2)),)
    with pytest.raises(TrainingError, match="at iteration 1") as caught:
        toy.train(overflowing(), lesson_of(toy.opened(data), toy.STILL), phases, tmp_path / "out")
    assert "starts from" in caught.value.mend


# -- fetched models ----------------------------------------------------------------------------------------------------


def _teacher(_: Path, root: Path, out: Path) -> None:
    fetch_teacher.run(
        outputs=fetch_teacher.Outputs(out / "card.json", out / "weights.safetensors"),
        body=toy.BODY,
        normalisation=Normalisation(),
        file=RemoteFile(name="theirs.safetensors"),
        classes=3,
        teacher="theirs",
        data_root=root,
    )


def _fetched_robust(folder: Path, root: Path, out: Path) -> None:
    fetch_robust.run(
        inputs=fetch_robust.Inputs(folder / "data" / "card.json"),
        outputs=fetch_robust.Outputs(out / "card.json", out / "weights.safetensors"),
        body=toy.BODY,
        normalisation=Normalisation(),
        file=RemoteFile(name="theirs.safetensors"),
        model="theirs",
        data_root=root,
    )


@pytest.mark.parametrize("fetch", [_teacher, _fetched_robust])
def test_a_fetched_model_that_answers_with_no_numbers_is_refused(
    folder: Path, tmp_path: Path, fetch: Callable[[Path, Path, Path], None]
) -> None:
    from safetensors.torch import save_file

    root = tmp_path / "root"
    root.mkdir()
    save_file(dict(overflowing().body.state_dict()), root / "theirs.safetensors")
    with pytest.raises(WeightsError, match="answers noise") as told:
        fetch(folder, root, tmp_path / "out")
    check_words(told.value)
    assert told.value.where == str(root / "theirs.safetensors")
    assert not (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fetch", [_teacher, _fetched_robust])
def test_a_pipe_in_the_folder_of_files_is_refused(
    folder: Path, tmp_path: Path, fetch: Callable[[Path, Path, Path], None]
) -> None:
    import os

    os.mkfifo(tmp_path / "theirs.safetensors")
    with pytest.raises(HeirloomError, match="is a pipe") as told:
        fetch(folder, tmp_path, tmp_path / "out")
    check_words(told.value)


def test_a_sound_model_is_left_as_it_was() -> None:
    model = toy.classifier().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try_out(model, 12, where="here")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"std": value} for value in (0, -1, "0/1", 1e-50, float("nan"), float("inf"))]
    + [{"mean": value} for value in (float("nan"), float("inf"), 1e30)],
)
def test_a_normalisation_that_leaves_no_numbers_is_refused(wrong: dict[str, object]) -> None:
    ((key, value),) = wrong.items()
    with pytest.raises(ValidationError):
        Normalisation.model_validate({key: [0.5, value, 0.5]})


def test_the_normalisations_of_pixels_and_of_bytes_are_taken() -> None:
    found = Normalisation.model_validate({"mean": [0, 0, 0], "std": ["1/255", 1, 255]})
    assert found.std == (1 / 255, 1, 255)
