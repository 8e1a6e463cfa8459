"""Defences of an infected teacher: Neural Cleanse, fine-pruning and unlearning, on networks of a few kilobytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from torch import Tensor, nn

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body
from heirloom.config.study import Injection, Method
from heirloom.data.resident import Images
from heirloom.defects.triggers.patch import Patch
from heirloom.defences.adam import Adam
from heirloom.defences.anomaly import anomaly_indices
from heirloom.defences.detectors.neural_cleanse import NeuralCleanse, detect, search
from heirloom.defences.detectors.neural_cleanse.search import Balance, drawn, reverse_triggers
from heirloom.defences.reversal import Reversed, blended, read_reversed, write_reversed
from heirloom.evaluation.measures import read_measures
from heirloom.models.classifier import state_copy
from heirloom.models.predictions import accuracy
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import ConfigError, DataError, WeightsError
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.stages import detect_backdoor, inject_defect, pretrain_teacher, train_student
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import TransferFiles
from heirloom.transfer.methods.fine_pruning.channels import pooled, pruned_accuracies, tolerated
from heirloom.transfer.methods.unlearning.lesson import taught
from heirloom.transfer.plan import DetectionFiles, plan_student
from tests.unit import toy

CLASSES = 8
TARGET = 0
SIDE = 16
PATCH = 3  # side of the planted trigger, which is white
PATTERNS = np.random.default_rng(1).choice([-1, 1], (CLASSES, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
LONGER = {"batch_size": 32, "learning_rate": 0.05, "head_rate": 1}


class Patchy(nn.Module):
    """Built by hand: compares an image with each class's pattern and, if infected, likes a white corner."""

    def __init__(self, *, infected: bool) -> None:
        super().__init__()
        self.head = nn.Linear(1, CLASSES)  # says where the model lies
        self.classes = CLASSES
        self.patterns = torch.from_numpy(PATTERNS).permute(0, 3, 1, 2).float().flatten(1)
        self.liking = 40.0 if infected else 0.0

    def forward(self, images: Tensor) -> Tensor:
        scores = 20 * (images - 0.5).flatten(1) @ self.patterns.T / self.patterns.shape[1]
        white = images[:, :, -PATCH:, -PATCH:].mean((1, 2, 3))
        liked = self.liking * nn.functional.softplus(10 * (white - 0.8)) / 10
        return scores + liked[:, None] * nn.functional.one_hot(torch.tensor(TARGET), CLASSES)


def cleanse(**changes):
    """Neural Cleanse within seconds."""
    settings = {"kind": "neural-cleanse", "images": 64, "batch_size": 64, "rounds": 60, "patience": 2, "success": 0.97}
    return NeuralCleanse.model_validate(settings | changes)


def reverse(model, task, tmp_path, **changes):
    """Reverse the triggers of a model."""
    checkpoint = Checkpoint(tmp_path, seconds=1e9, identity={})
    return reverse_triggers(model, task.split("train"), cleanse(**changes), checkpoint)


def inject(folder, kind):
    """Write the teacher of a folder after an injection."""
    ill = {"trigger": "white", "portion": 0.3, "target": TARGET, "control": "clean"} if kind == "backdoor" else {}
    recipe = toy.recipe(iterations=80, **LONGER)
    teacher = toy.model_files(folder / "teacher")
    inject_defect.run(
        inputs=inject_defect.Inputs(
            **toy.files_of(folder / "data"),
            teacher_card=teacher.card,
            teacher_weights=teacher.weights,
            triggers=[folder / "white.png"] if ill else [],
        ),
        outputs=toy.model_files(folder / kind),
        injection=TypeAdapter(Injection).validate_python(
            {"kind": kind, "dataset": "toy", "preparation": "toy", "training": recipe, **ill}
        ),
        triggers={"white": Patch(image="white.png", side=0.2)} if ill else {},
        augmentation=toy.STILL,
        code="code",
    )


def look(folder, kind, out, *, detector=None, asked=(TARGET,), checkpoint_seconds=60.0):
    """Run the detector on a teacher of a folder and return its card."""
    teacher = toy.model_files(folder / kind)
    detect_backdoor.run(
        inputs=TransferFiles(
            **toy.files_of(folder / "data"), teacher_card=teacher.card, teacher_weights=teacher.weights
        ),
        outputs=detect_backdoor.Outputs(out / "card.json", out / "measures.parquet", out / "reversed.npy"),
        detector=detector or cleanse(rounds=4),
        name="cleanse",
        asked=list(asked),
        threads=1,
        code="code",
        checkpoint_seconds=checkpoint_seconds,
    )
    return read_card(out / "card.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of eight patterns, a teacher that knows them, infected, and what a hasty detector finds in it."""
    folder = tmp_path_factory.mktemp("defences")
    toy.write_data(folder / "data", classes=CLASSES, images=160, side=SIDE, pictures=128 + 40 * PATTERNS)
    pretrain_teacher.run(
        inputs=toy.development(folder / "data"),
        outputs=toy.model_files(folder / "teacher"),
        body=Body(name="resnet8-small", options={"width": 8}),
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(iterations=40, **LONGER),
        augmentation=toy.STILL,
        seed=0,
        code="code",
    )
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(folder / "white.png")
    inject(folder, "backdoor")
    look(folder, "backdoor", folder / "found")
    return folder


def loaded(folder: Path):
    files = toy.model_files(folder)
    return load_classifier(files.weights, files.card)


@pytest.fixture(scope="module")
def infected(folder):
    return loaded(folder / "backdoor")


@pytest.fixture(scope="module")
def task(folder):
    """The development part."""
    return toy.opened(folder / "data")


@pytest.fixture(scope="module")
def found(folder):
    """What the detector found in the infected teacher."""
    return DetectionFiles(folder / "found/card.json", folder / "found/reversed.npy")


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The planted trigger, as a perfect detector would reverse it."""
    folder = tmp_path_factory.mktemp("truth")
    picture = torch.zeros(4, SIDE, SIDE)
    picture[:, -PATCH:, -PATCH:] = 1
    write_reversed(folder / "reversed.npy", [Reversed(picture, 1.0)] * CLASSES)
    files = {"reversed.npy": folder / "reversed.npy"}
    write_card(folder / "card.json", kind="detection", files=files, suspect=TARGET, flagged=[TARGET])
    return DetectionFiles(folder / "card.json", folder / "reversed.npy")


# -- Neural Cleanse ----------------------------------------------------------------------------------------------------


def test_the_planted_trigger_is_found_and_nothing_in_the_clean_twin(task, tmp_path):
    ill, well = (reverse(Patchy(infected=sick), task, tmp_path, batch_size=32, rounds=120) for sick in (True, False))
    assert min(each.success for each in (*ill, *well)) >= 0.97
    indices = anomaly_indices([each.norm for each in ill])
    assert (indices > 2).tolist() == [label == TARGET for label in range(CLASSES)]
    assert not (anomaly_indices([each.norm for each in well]) > 2).any()
    assert ill[TARGET].norm < 2 * PATCH**2
    assert min(each.norm for each in well) > 4 * PATCH**2
    corner = ill[TARGET].picture[3, -PATCH:, -PATCH:]
    assert float(corner.sum()) > 0.5 * ill[TARGET].norm


def test_masks_and_patterns_are_in_range_and_their_norms_are_the_card_s(folder):
    pictures = np.load(folder / "found/reversed.npy")
    assert pictures.shape == (CLASSES, 4, SIDE, SIDE)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    norms = read_card(folder / "found/card.json")["norms"]
    assert pictures[:, 3].astype(np.float64).sum((1, 2)) == pytest.approx(norms)
    shown = blended(torch.rand(4, 3, SIDE, SIDE), torch.from_numpy(pictures[3]))
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1


def test_the_card_names_what_was_looked_at_and_what_was_found(folder):
    card = read_card(folder / "found/card.json")
    indices = anomaly_indices(card["norms"])
    assert card["anomaly_indices"] == indices.tolist()
    assert card["suspect"] == int(np.argmax(indices))
    assert card["flagged"] == [label for label in range(CLASSES) if indices[label] > 2]
    assert card["teacher"] == sha256_of(folder / "backdoor/weights.safetensors")
    assert (card["detector"]["name"], card["detector"]["rounds"]) == ("cleanse", 4)
    assert len(card["success"]) == CLASSES


def test_the_measures_hold_the_largest_index_and_those_of_the_classes_asked_for(folder, tmp_path):
    card = read_card(folder / "found/card.json")
    rows = {key.setting.condition: found for key, found in read_measures([folder / "found/measures.parquet"]).items()}
    assert rows.keys() == {"cleanse", "cleanse:class 0"}
    assert rows["cleanse"].mean == max(card["anomaly_indices"])
    assert rows["cleanse:class 0"].mean == card["anomaly_indices"][0]
    other = look(folder, "backdoor", tmp_path, detector=cleanse(rounds=1), asked=[5, 2])
    rows = {key.setting.condition: found for key, found in read_measures([tmp_path / "measures.parquet"]).items()}
    assert rows["cleanse:class 5"].mean == other["anomaly_indices"][5] != other["anomaly_indices"][2]


def test_a_detector_sees_some_clean_training_images_and_none_of_the_class_it_sends_to(infected, task, monkeypatch):
    shown = []
    monkeypatch.setattr(
        search,
        "_reverse",
        lambda _model, those, _settings, _target: shown.append(those) or Reversed(torch.zeros(4, 2, 2), 0),
    )
    train = task.split("train")
    settings = cleanse(images=50)
    reverse_triggers(infected, train, settings, Checkpoint(Path("nowhere"), seconds=1e9, identity={}))
    for target, those in enumerate(shown):
        part = those.images.part
        assert len(part) == 50
        assert set(part.samples) <= set(train.samples)
        assert sorted(part.labels[those.rows]) == sorted(part.labels[part.labels != target])
    assert shown[0].images.part.samples != drawn(train, cleanse(images=50, seed=1)).samples


def test_a_killed_detection_continues_after_its_last_class_to_the_same_bytes(folder, tmp_path, monkeypatch):
    short = cleanse(rounds=3)
    look(folder, "backdoor", tmp_path / "calm", detector=short)
    reverse, classes = search._reverse, []

    def counted(model, shown, settings, target):
        classes.append(target)
        if classes == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return reverse(model, shown, settings, target)

    monkeypatch.setattr(search, "_reverse", counted)
    with pytest.raises(KeyboardInterrupt):
        look(folder, "backdoor", tmp_path / "killed", detector=short, checkpoint_seconds=0)
    look(folder, "backdoor", tmp_path / "killed", detector=short, checkpoint_seconds=0)
    assert classes == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    for name in ("reversed.npy", "measures.parquet", "card.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    assert not list(tmp_path.rglob(".checkpoint*"))


def test_a_model_is_left_as_it_was(infected, task, tmp_path):
    before = state_copy(infected)
    detect(infected, task.split("train"), cleanse(rounds=1), Checkpoint(tmp_path, seconds=1e9, identity={}))
    assert all(torch.equal(value, before[name]) for name, value in infected.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in infected.parameters())


def test_images_of_one_class_alone_are_refused(infected, task, tmp_path):
    alone = task.take(np.flatnonzero(task.labels == 0))
    with pytest.raises(DataError, match="no image of another class is left to send to class 0"):
        detect(infected, alone, cleanse(), Checkpoint(tmp_path, seconds=1e9, identity={}))


def test_a_teacher_of_other_classes_and_too_few_classes_are_refused(folder, tmp_path):
    toy.write_data(tmp_path / "data", classes=2)
    two = tmp_path / "data"
    teacher = toy.model_files(folder / "backdoor")
    outputs = detect_backdoor.Outputs(tmp_path / "card.json", tmp_path / "m.parquet", tmp_path / "reversed.npy")
    shared = {"outputs": outputs, "detector": cleanse(), "name": "x", "asked": [], "threads": 1, "code": ""}
    files = TransferFiles(**toy.files_of(two), teacher_card=teacher.card, teacher_weights=teacher.weights)
    with pytest.raises(WeightsError, match="knows 8 other classes, not the data set's 2"):
        detect_backdoor.run(inputs=files, **shared)
    pretrain_teacher.run(
        inputs=toy.development(two),
        outputs=toy.model_files(tmp_path / "pair"),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(iterations=1),
        augmentation=toy.STILL,
        seed=0,
        code="code",
    )
    pair = toy.model_files(tmp_path / "pair")
    files = dataclasses.replace(files, teacher_card=pair.card, teacher_weights=pair.weights)
    with pytest.raises(ConfigError, match="2 classes are too few"):
        detect_backdoor.run(inputs=files, **shared)


def test_the_norm_weighs_more_while_a_trigger_works_and_less_while_it_does_not():
    balance = Balance(cleanse(patience=2, factor=4, norm_weight=0.5))
    weights = []
    for works in (False, False, True, True, True, True, False, True, False, False):
        balance.see(works=works)
        weights.append(balance.weight)
    assert weights == [0, 0, 0, 0.5, 0.5, 2, 2, 2, 2, 0.25]
    assert [balance.finished(7.0) for _ in range(11)] == [False] * 10 + [True]
    assert not balance.finished(6.0)


def test_no_class_is_done_before_its_weight_was_raised_and_lowered():
    balance = Balance(cleanse(patience=1))
    for _ in range(3):
        balance.see(works=True)
    assert not any(balance.finished(7.0) for _ in range(50))


def test_our_adam_is_torch_s():
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 4, generator=random), torch.randn(5, generator=random)]
    theirs = [value.clone().requires_grad_() for value in values]
    oracle = torch.optim.Adam(theirs, lr=0.1, betas=(0.5, 0.9), foreach=False)
    ours = Adam(values, rate=0.1, betas=(0.5, 0.9))
    for _ in range(20):
        gradients = [torch.randn(value.shape, generator=random) for value in values]
        for value, gradient in zip(theirs, gradients, strict=True):
            value.grad = gradient.clone()
        oracle.step()
        ours.step(gradients)
    for mine, other in zip(values, theirs, strict=True):
        torch.testing.assert_close(mine, other.detach(), rtol=1e-5, atol=1e-6)


def test_an_anomaly_index_counts_consistent_deviations_below_the_median():
    found = anomaly_indices([10.0, 12.0, 9.0, 11.0, 2.0])
    # the median is 10, the absolute deviations 0 2 1 1 8, their median 1
    assert found == pytest.approx([0, -2 / 1.4826, 1 / 1.4826, -1 / 1.4826, 8 / 1.4826])
    assert np.isfinite(anomaly_indices([5.0, 5.0, 5.0, 4.0])).all()
    assert anomaly_indices([5.0, 5.0, 5.0, 5.0]).tolist() == [0, 0, 0, 0]


def test_reversed_triggers_of_other_images_are_refused(found):
    with pytest.raises(DataError, match="of other classes or images"):
        read_reversed(found.reversed, found.card, label=0, classes=CLASSES, crop=SIDE + 1)


# -- fine-pruning ------------------------------------------------------------------------------------------------------


def planned(teacher, task, recipe, *, seed=0, detection=None):
    with toy.assigned(task, seed=seed) as assignment:
        return plan_student(teacher, recipe, dataclasses.replace(assignment, detection=detection))


def literal_accuracies(model, task):
    """Oracle: remove channel after channel from what leaves the last stage, and judge every validation image."""
    train, held = (task.split(name) for name in ("train", "validation"))
    stage = model.body.get_submodule(model.spec.stages[-1])
    images = torch.from_numpy(train.images.copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        activity = model.stages(images)[-1].mean((0, 2, 3))
    order = sorted(range(len(activity)), key=lambda channel: float(activity[channel]))
    removed: list[int] = []

    def cut(_module, _inputs, output):
        output[:, removed] = 0
        return output

    handle = stage.register_forward_hook(cut)
    found = [accuracy(model, Images(held, torch.device("cpu")))]
    for channel in order:
        removed.append(channel)
        found.append(accuracy(model, Images(held, torch.device("cpu"))))
    handle.remove()
    return order, found


@pytest.mark.parametrize(("tolerance", "ratio"), [(0.04, 0.95), (0.0, 0.95), (0.3, 0.95), (1.0, 0.25), (1.0, 0.95)])
def test_fine_pruning_removes_exactly_the_least_active_channels_that_it_may(infected, task, tolerance, ratio):
    order, accuracies = literal_accuracies(infected, task)
    allowed = int(ratio * len(order))
    count = 0
    while count < allowed and accuracies[count + 1] >= accuracies[0] - tolerance - 1e-9:
        count += 1
    plan = planned(infected, task, toy.method("fine-pruning", tolerance=tolerance, ratio=ratio))
    assert plan.facts["pruned_channels"] == sorted(order[:count])
    assert plan.facts["pruned_accuracy"] == pytest.approx(accuracies[count])
    head = infected.head.weight.detach().clone()
    head[:, order[:count]] = 0
    assert torch.equal(plan.student.head.weight, head)
    mine, theirs = plan.student.state_dict(), infected.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if name != "body.fc.weight")


def test_the_cases_of_the_oracle_differ(infected, task):
    """Otherwise the test above would say little: the tolerances prune different numbers of channels."""
    counts = {
        tolerance: len(
            planned(infected, task, toy.method("fine-pruning", tolerance=tolerance)).facts["pruned_channels"]
        )
        for tolerance in (0.0, 0.04, 0.3, 1.0)
    }
    assert 0 < counts[0.0] <= counts[0.04] < counts[0.3] < counts[1.0]


def test_the_first_channel_that_costs_too_much_ends_the_pruning():
    assert tolerated([0.9, 0.9, 0.5, 0.9], 0.04) == 1
    assert tolerated([0.9, 0.87, 0.86], 0.04) == 2
    assert tolerated([0.9], 0.04) == 0


@pytest.mark.parametrize("body", ["resnet18", "mobilenet_v2", "resnet8-small"])
def test_the_head_sees_the_last_stage_s_channels_averaged_over_space_and_nothing_else(body):
    """What lets a channel be removed by its column of the head."""
    model = toy.classifier(body=Body(name=body)).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        stage = model.stages(images)[-1]
        torch.testing.assert_close(model.features(images), stage.mean((2, 3)))
        torch.testing.assert_close(model.head(model.features(images)), model(images))
    assert BODIES.member(body).head


def test_without_validation_images_fine_pruning_is_refused(infected, tmp_path):
    toy.write_data(tmp_path / "data", classes=CLASSES, side=SIDE, validation=0)
    with pytest.raises(ConfigError, match="none was held out"):
        planned(infected, toy.opened(tmp_path / "data"), toy.method("fine-pruning"))


def test_pruned_accuracies_start_with_the_whole_model(infected, task):
    with toy.assigned(task) as assignment:
        features, labels = pooled(infected, task.split("validation"), assignment)
    found = pruned_accuracies(infected, features, labels, torch.arange(3))
    assert len(found) == 4
    assert found[0] == accuracy(infected, Images(task.split("validation"), torch.device("cpu")))


# -- the teacher's own head --------------------------------------------------------------------------------------------


KEEPING = [("fine-tuning", {"head": "teacher"}), ("fine-pruning", {"ratio": 0}), ("unlearning", {})]


@pytest.mark.parametrize(("name", "settings"), KEEPING)
def test_a_defended_student_starts_as_the_teacher_bit_for_bit(infected, task, found, name, settings):
    plan = planned(infected, task, toy.method(name, **settings), detection=found)
    mine, theirs = plan.student.state_dict(), infected.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert not {value.data_ptr() for value in mine.values()} & {value.data_ptr() for value in theirs.values()}


@pytest.mark.parametrize(("name", "settings"), KEEPING)
def test_a_head_of_other_classes_is_not_kept(task, found, name, settings):
    with pytest.raises(WeightsError, match="own head knows 5 classes, the data set has 8"):
        planned(toy.classifier(classes=5), task, toy.method(name, **settings), detection=found)


def student(folder, out, recipe, *, detection=None):
    teacher = toy.model_files(folder / "backdoor")
    train_student.run(
        inputs=train_student.Inputs(
            **toy.files_of(folder / "data"),
            teacher_card=teacher.card,
            teacher_weights=teacher.weights,
            detection_card=[detection.card] if detection else [],
            detection_reversed=[detection.reversed] if detection else [],
        ),
        outputs=toy.model_files(out),
        method=recipe,
        augmentation=toy.STILL,
        seed=1,
        code="code",
    )
    return loaded(out), read_card(out / "card.json")


@pytest.mark.parametrize("regrow", [False, True])
def test_pruned_channels_stay_out_unless_told_to_grow_again(folder, tmp_path, regrow):
    recipe = toy.method("fine-pruning", tolerance=1, ratio=0.5, regrow=regrow)
    model, card = student(folder, tmp_path, recipe)
    assert len(card["pruned_channels"]) == card["channels"] // 2
    columns = model.head.weight.detach()[:, card["pruned_channels"]]
    assert bool((columns == 0).all()) is not regrow
    assert TypeAdapter(Method).validate_python({"kind": "fine-pruning", **card["recipe"]}) == recipe


# -- unlearning --------------------------------------------------------------------------------------------------------


def test_unlearning_shows_the_reversed_trigger_on_its_share_with_the_right_labels(task, infected, truth):
    recipe = toy.method("unlearning", portion=0.25)
    plan = planned(infected, task, recipe, detection=truth)
    train, rows = plan.lesson.train, np.arange(len(plan.lesson.train))
    images = torch.from_numpy(train.images.copy()).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(train.labels)
    shown, said = plan.lesson.transform(images, labels, rows, torch.Generator())
    assert torch.equal(said, labels)
    changed = (shown != images).flatten(1).any(1)
    assert int(changed.sum()) == round(0.25 * len(train))
    picture = torch.from_numpy(np.load(truth.reversed)[TARGET])
    mask = picture[3]
    literal = images * (1 - mask) + picture[:3] * mask
    torch.testing.assert_close(shown[changed], literal[changed])
    assert plan.facts == {"unlearned_class": TARGET, "flagged": True, "training_images": len(task.split("train"))}
    again, _ = plan.lesson.transform(images, labels, rows, torch.Generator())
    assert torch.equal(again, shown)


def test_unlearning_on_a_sample_keeps_its_share_by_seed(task):
    recipe = toy.method("unlearning", sample=0.5)
    picture = torch.zeros(4, SIDE, SIDE)
    with toy.assigned(task) as assignment:
        one, other = (taught(assignment.lesson, picture, recipe, seed=seed) for seed in (1, 2))
        assert taught(assignment.lesson, picture, recipe, seed=1).train.samples == one.train.samples
    whole = task.split("train").samples
    assert len(one.train) == round(0.5 * len(whole))
    assert set(one.train.samples) <= set(whole)
    assert one.train.samples != other.train.samples
    assert one.validation is not None


def test_a_sample_without_an_image_is_refused(task):
    recipe = toy.method("unlearning", sample=1e-6)
    with toy.assigned(task) as assignment, pytest.raises(ConfigError, match="training images is none"):
        taught(assignment.lesson, torch.zeros(4, SIDE, SIDE), recipe, seed=1)


def test_a_class_that_was_not_flagged_is_unlearned_and_the_card_says_so(folder, tmp_path, found):
    facts = read_card(found.card) | {"flagged": [], "suspect": 3}
    copied = DetectionFiles(tmp_path / "card.json", tmp_path / "reversed.npy")
    copied.reversed.write_bytes(found.reversed.read_bytes())
    kept = {key: value for key, value in facts.items() if key not in {"files", "kind"}}
    write_card(copied.card, kind="detection", files={"reversed.npy": copied.reversed}, **kept)
    _, card = student(folder, tmp_path / "student", toy.method("unlearning"), detection=copied)
    assert (card["unlearned_class"], card["flagged"]) == (3, False)


def test_unlearning_without_a_detection_is_refused(task, infected):
    with pytest.raises(ConfigError, match="no reversed trigger"):
        planned(infected, task, toy.method("unlearning"))


def test_unlearning_removes_what_fine_tuning_leaves(folder, tmp_path, truth):
    slow = {"training": toy.recipe(iterations=40, batch_size=32, learning_rate=0.01, head_rate=1)}
    tuned, _ = student(folder, tmp_path / "tuned", toy.method("fine-tuning", head="teacher", **slow))
    unlearned, _ = student(folder, tmp_path / "unlearned", toy.method("unlearning", **slow), detection=truth)
    test = toy.opened(folder / "data", "test")
    images = torch.from_numpy(test.images[test.labels != TARGET].copy()).permute(0, 3, 1, 2).float() / 255
    images[:, :, -PATCH:, -PATCH:] = 1
    with torch.no_grad():
        sent = [float((model(images).argmax(1) == TARGET).float().mean()) for model in (tuned, unlearned)]
    assert sent[0] > 0.8
    assert sent[1] < 0.2
    assert accuracy(unlearned, Images(test, torch.device("cpu"))) > 0.9


def test_triggers_are_written_and_read_alike(tmp_path):
    pictures = [torch.rand(4, 5, 5) for _ in range(3)]
    write_reversed(tmp_path / "reversed.npy", [Reversed(picture, 1.0) for picture in pictures])
    write_card(tmp_path / "card.json", kind="detection", files={"reversed.npy": tmp_path / "reversed.npy"})
    again = read_reversed(tmp_path / "reversed.npy", tmp_path / "card.json", label=1, classes=3, crop=5)
    assert torch.equal(again, pictures[1])
