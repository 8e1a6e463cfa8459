import copy
import math
from typing import get_args

import pytest
import torch
from pydantic import TypeAdapter

from heirloom.config.kinds import METHODS
from heirloom.config.models import Body, Normalisation, RemoteFile, TransferSettings
from heirloom.config.study import Method
from heirloom.models.classifier import conv_weights, state_copy
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError, WeightsError
from heirloom.runtime.files import read_card, read_table, sha256_of
from heirloom.stages import fetch_teacher, pretrain_teacher, train_student
from heirloom.training.optimiser import SGD
from heirloom.transfer.plan import plan_student
from heirloom.transfer.slices import prune
from tests.unit import toy

pytestmark = pytest.mark.usefixtures("quick_reader")


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A development part of three classes."""
    return toy.opened(toy.write_data(tmp_path_factory.mktemp("task")))


@pytest.fixture(scope="module")
def teacher():
    """A teacher whose batch-norm statistics have moved."""
    model = toy.classifier(classes=5, seed=1).train()
    model(torch.rand(4, 3, 12, 12))
    return model.eval()


@pytest.fixture(scope="module")
def planned(task):
    """Plan a student of the task's three classes by a method."""

    def plan(teacher, method, *, seed=0, **settings):
        recipe = toy.method(method, **settings) if isinstance(method, str) else method
        with toy.assigned(task, seed=seed) as assignment:
            return plan_student(teacher, recipe, assignment)

    return plan


OWN_HEAD = {"fine-pruning", "unlearning"}  # tests/unit/test_defences.py
FRESH_HEAD = [name for name in METHODS.names() if name not in OWN_HEAD]


def body_of(state):
    return {name: value for name, value in state.items() if not name.startswith("body.fc")}


@pytest.mark.parametrize("name", FRESH_HEAD)
def test_every_method_gives_a_student_of_its_own_with_a_fresh_head(teacher, planned, name):
    before = state_copy(teacher)
    plan = planned(teacher, name)
    assert plan.student.classes == 3
    assert plan.phases[0].training == toy.method(name).training
    pointers = {value.data_ptr() for value in teacher.state_dict().values()}
    assert not pointers & {value.data_ptr() for value in plan.student.state_dict().values()}
    with torch.no_grad():
        for value in plan.student.state_dict().values():
            value.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_fine_tuning_starts_from_the_teacher_statistics_included(teacher, planned):
    one, other = planned(teacher, "fine-tuning", seed=0).student, planned(teacher, "fine-tuning", seed=1).student
    for student in (one, other):
        mine, theirs = body_of(student.state_dict()), body_of(teacher.state_dict())
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_re_training_keeps_nothing_of_the_teacher(teacher, planned):
    student = planned(teacher, "re-training").student
    mine, theirs = student.state_dict(), teacher.state_dict()
    trained = [name for name, value in theirs.items() if value.ndim == 4 or "running" in name]
    assert trained
    assert all(not torch.equal(mine[name], theirs[name]) for name in trained)
    assert torch.equal(mine["body.bn1.running_mean"], torch.zeros(4))
    assert torch.equal(mine["normalise.mean"], theirs["normalise.mean"])
    again = planned(teacher, "re-training").student.state_dict()
    assert all(torch.equal(mine[name], again[name]) for name in mine)
    assert not torch.equal(mine["body.conv1.weight"], planned(teacher, "re-training", seed=1).student.body.conv1.weight)


def test_every_method_has_its_settings_and_its_plan():
    settings = get_args(get_args(METHODS.settings())[0])
    assert {get_args(model.model_fields["kind"].annotation)[0] for model in settings} == set(METHODS.names())
    assert all(issubclass(model, TransferSettings) for model in settings)
    assert all(callable(METHODS.load(name).plan) for name in METHODS.names())


def zeros_of(model):
    return {name: weight.detach() == 0 for name, weight in conv_weights(model).items()}


@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_magnitude_pruning_starts_without_the_smallest_weights(teacher, planned, ratio):
    student = planned(teacher, "pruning", ratio=ratio).student
    weights = torch.cat([weight.detach().flatten() for weight in conv_weights(teacher).values()])
    count = math.floor(ratio * len(weights))
    threshold = weights.abs().kthvalue(count).values  # no two weights of the toy are equal
    for name, weight in conv_weights(teacher).items():
        expected = torch.where(weight.detach().abs() <= threshold, 0.0, weight.detach())
        assert torch.equal(conv_weights(student)[name].detach(), expected)
    assert sum(int(mask.sum()) for mask in zeros_of(student).values()) == count
    mine, theirs = body_of(student.state_dict()), body_of(teacher.state_dict())
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if name not in conv_weights(student))


def test_pruning_a_whole_layer_is_refused_and_changes_nothing(teacher, planned):
    model = copy.deepcopy(teacher)
    with torch.no_grad():
        model.body.layer1[0].conv1.weight.mul_(1e-6)
    before = state_copy(model)
    with pytest.raises(ConfigError, match=r"at ratio 0.2 nothing is left of body\.layer1\.0\.conv1"):
        planned(model, "pruning")
    scores = {name: weight.detach().abs() for name, weight in conv_weights(model).items()}
    with pytest.raises(ConfigError, match="smaller ratio"):
        prune(model, scores, 0.2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of three classes, and a teacher of four."""
    folder = tmp_path_factory.mktemp("transfer")
    toy.write_data(folder / "data")
    toy.write_data(folder / "source", classes=4)
    pretrain_teacher.run(
        inputs=toy.development(folder / "source"),
        outputs=toy.model_files(folder / "teacher"),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(),
        augmentation=toy.MOVING,
        seed=0,
        code="code",
    )
    return folder


def student(folder, out, *, method="fine-tuning", seed=1, augmentation=toy.MOVING, checkpoint_seconds=60.0):
    teacher = toy.model_files(folder / "teacher")
    train_student.run(
        inputs=train_student.Inputs(
            **toy.files_of(folder / "data"), teacher_card=teacher.card, teacher_weights=teacher.weights
        ),
        outputs=toy.model_files(out),
        method=toy.method(method) if isinstance(method, str) else method,
        augmentation=augmentation,
        seed=seed,
        code="code",
        checkpoint_seconds=checkpoint_seconds,
    )


@pytest.mark.parametrize("method", FRESH_HEAD)
def test_a_student_is_written_with_its_card(folder, tmp_path, method):
    student(folder, tmp_path, method=method)
    card = read_card(tmp_path / "card.json")
    assert (card["kind"], card["method"], card["seed"], card["classes"]) == ("student", method, 1, 3)
    assert card["teacher"] == sha256_of(folder / "teacher" / "weights.safetensors")
    assert TypeAdapter(Method).validate_python({"kind": method, **card["recipe"]}) == toy.method(method)
    assert card["class_names"] == ["class 0", "class 1", "class 2"]
    assert card["validation_accuracy"] is not None


def trained(out):
    files = toy.model_files(out)
    return load_classifier(files.weights, files.card)


@pytest.mark.parametrize("regrow", [True, False])
def test_pruned_weights_grow_again_only_if_told_to(folder, planned, tmp_path, regrow):
    recipe = toy.method("pruning", ratio=0.3, regrow=regrow)
    teacher = trained(folder / "teacher")
    start = zeros_of(planned(teacher, recipe, seed=1).student)
    student(folder, tmp_path, method=recipe)
    end = zeros_of(trained(tmp_path))
    stayed = sum(int((start[name] & end[name]).sum()) for name in start)
    pruned = sum(int(mask.sum()) for mask in start.values())
    assert (stayed == pruned) if not regrow else (stayed < 0.1 * pruned)


def test_a_linear_probe_trains_its_head_alone(folder, planned, tmp_path):
    """Momentum, weight decay and batches of other statistics: the body stays the teacher's bit for bit."""
    longer = toy.recipe(iterations=30, momentum=0.9, weight_decay=0.1, validate_every=5)
    student(folder, tmp_path, method=toy.method("linear-probe", training=longer))
    mine = trained(tmp_path).state_dict()
    theirs = trained(folder / "teacher").state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in body_of(mine).items())
    start = planned(trained(folder / "teacher"), "linear-probe", seed=1).student
    assert not torch.equal(mine["body.fc.weight"], start.head.weight)
    history = read_table(tmp_path / "history.parquet").to_pylist()
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]


def test_a_linear_probe_is_logistic_regression_on_the_teachers_features(folder, planned, tmp_path):
    """Oracle: the same steps on features computed once by the teacher in eval mode."""
    settings = {"iterations": 12, "learning_rate": 0.1, "weight_decay": 0.0, "head_penalty": 0.0, "head_rate": 1}
    recipe = toy.method("linear-probe", training=toy.recipe(**settings, momentum=0, schedule="constant", batch_size=24))
    student(folder, tmp_path, method=recipe, augmentation=toy.STILL)
    teacher = trained(folder / "teacher")
    train = toy.opened(folder / "data").split("train")
    images = torch.from_numpy(train.images.copy()).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(train.labels).long()
    with torch.no_grad():
        features = teacher.features(images)
    head = planned(teacher, "linear-probe", seed=1).student.head
    assert len(labels) == 24  # one batch is the whole training part
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(head(features), labels)
        gradients = torch.autograd.grad(loss, [head.weight, head.bias])
        with torch.no_grad():
            for weight, gradient in zip([head.weight, head.bias], gradients, strict=True):
                weight.sub_(0.1 * gradient)
    assert torch.allclose(trained(tmp_path).head.weight, head.weight, atol=1e-5)


def test_students_differ_by_seed_alone(folder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        student(folder, tmp_path / name, seed=seed)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]


class Stop(Exception):
    pass


TRIED = toy.method("pruning", score={"kind": "relative-change", "trial": toy.recipe(iterations=4, momentum=0.9)})


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
@pytest.mark.parametrize(
    ("method", "stop"),
    [(TRIED, 2), (TRIED, 4), (TRIED, 7), ("renofeation", 3), ("renofeation", 6), ("renofeation", 10)],
    ids=["in a trial", "after a trial", "after a trial, in training", "in phase 1", "between phases", "in phase 2"],
)
def test_a_student_stopped_anywhere_continues_to_the_same_bytes(folder, tmp_path, monkeypatch, method, stop, seconds):
    """Whether there is a checkpoint after every step or none; a step whose checkpoint exists is not made again."""
    steps, limit = [], math.inf
    step = SGD.step

    def counted(optimiser, rate):
        if len(steps) == limit:
            raise Stop
        steps.append(rate)
        step(optimiser, rate)

    monkeypatch.setattr(SGD, "step", counted)
    student(folder, tmp_path / "calm", method=method)
    total, limit = len(steps), stop
    steps.clear()
    with pytest.raises(Stop):
        student(folder, tmp_path / "hurt", method=method, checkpoint_seconds=seconds)
    limit = math.inf
    student(folder, tmp_path / "hurt", method=method, checkpoint_seconds=seconds)
    if seconds < 1:
        assert len(steps) == total
    names = sorted(path.name for path in (tmp_path / "calm").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "hurt").iterdir()) == sorted(FILES)
    assert all((tmp_path / "hurt" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes() for name in names)


FILES = ("card.json", "history.parquet", "weights.safetensors")


def test_a_damaged_teacher_stops_the_student_and_nothing_is_written(folder, tmp_path):
    damaged = tmp_path / "teacher"
    damaged.mkdir()
    for path in (folder / "teacher").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "weights.safetensors").write_bytes(b"\0" * (damaged / "weights.safetensors").stat().st_size)
    files = toy.model_files(damaged)
    with pytest.raises(DamagedFileError, match="delete it and run again"):
        train_student.run(
            inputs=train_student.Inputs(
                **toy.files_of(folder / "data"), teacher_card=files.card, teacher_weights=files.weights
            ),
            outputs=toy.model_files(tmp_path / "out"),
            method=toy.method("fine-tuning"),
            augmentation=toy.MOVING,
            seed=0,
            code="code",
        )
    assert not (tmp_path / "out").exists()


def fetch(out, data_root, *, body=toy.BODY, classes=5, name="weights.pth", sha256=None):
    file = RemoteFile(name=name, sha256=sha256, sha256_source="the test" if sha256 else "")
    normalisation = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    files = fetch_teacher.Outputs(out / "card.json", out / "weights.safetensors")
    fetch_teacher.run(
        outputs=files,
        body=body,
        normalisation=normalisation,
        file=file,
        classes=classes,
        teacher="foreign",
        data_root=data_root,
    )
    return load_classifier(files.weights, files.card), read_card(files.card)


@pytest.fixture
def root(teacher, tmp_path, monkeypatch):
    """A folder of the user's with a foreign weight file; the working folder is elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    body = {f"module.{name}": value for name, value in teacher.body.state_dict().items()}
    torch.save({"state_dict": body, "epoch": 90}, tmp_path / "mine" / "weights.pth")
    return tmp_path / "mine"


def test_a_fetched_teacher_is_the_files_network_behind_its_own_normalisation(teacher, root, tmp_path):
    digest = sha256_of(root / "weights.pth")
    model, card = fetch(tmp_path / "out", root, sha256=digest)
    images = torch.rand(2, 3, 12, 12)
    assert torch.equal(model(images), teacher.body((images - 0.5) / 0.25))
    assert card["file"] == {"name": "weights.pth", "sha256": digest, "sha256_source": "the test"}
    assert "class_names" not in card
    assert str(root) not in (tmp_path / "out" / "card.json").read_text()


def test_a_file_that_does_not_fit_writes_nothing(root, tmp_path):
    with pytest.raises(WeightsError, match=r"fc\.weight \(5, 16\) instead of \(7, 16\)"):
        fetch(tmp_path / "out", root, classes=7)
    with pytest.raises(WeightsError, match=r"missing: layer1\.1\.conv1"):
        fetch(tmp_path / "out", root, body=Body(name="resnet18-small", options={"width": 4}))
    with pytest.raises(DataError):
        fetch(tmp_path / "out", root, sha256="0" * 64)
    assert not (tmp_path / "out").exists()
