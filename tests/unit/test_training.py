import copy
import math
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.nn import functional

from heirloom.config.models import Augmentation
from heirloom.models.classifier import Classifier, conv_weights, state_copy
from heirloom.runtime.errors import ConfigError, TrainingError
from heirloom.runtime.files import read_card, read_table
from heirloom.stages import pretrain_teacher
from heirloom.training.batches import RowStream
from heirloom.training.checkpoints import NAME, Checkpoint
from heirloom.training.constraints import FrozenWeights, constraint, conv_mask
from heirloom.training.loop import Lesson
from heirloom.training.losses import Objective, Step, Term, supervised_terms
from heirloom.training.meters import Meter
from heirloom.training.optimiser import SGD
from heirloom.training.phases import Phase, StepHook, supervised_phase
from heirloom.training.schedules import schedule
from heirloom.training.session import lesson_of
from tests.unit import toy
from tests.unit.killed import killed
from tests.unit.toy import Stop, StopAt, same, train

MOMENTS = (1e-9, 1e9)  # seconds between checkpoints: at every step, never in between


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def lesson(data) -> Lesson:
    return lesson_of(toy.opened(data), toy.MOVING)


# objectives


def test_the_objective_is_smoothed_cross_entropy_and_half_beta_times_the_squared_head():
    model = toy.classifier(classes=4)
    images, labels = torch.rand(6, 3, 12, 12), torch.tensor([0, 1, 2, 3, 0, 1])
    logits = model(images)
    terms = Objective(supervised_terms(toy.recipe(label_smoothing=0.2, head_penalty=0.3)))
    found = terms(Step(model, images, labels, logits, []))
    target = torch.full((6, 4), 0.2 / 4)
    target[torch.arange(6), labels] += 0.8
    cross_entropy = -(target * logits.log_softmax(1)).sum(1).mean()
    penalty = 0.3 / 2 * sum((weight**2).sum() for weight in model.body.fc.parameters())
    assert terms.names == ["cross-entropy", "head-penalty"]
    assert found.tolist() == pytest.approx([cross_entropy.item(), penalty.item()], rel=1e-6)
    assert found.sum().requires_grad


def test_a_head_penalty_of_0_is_no_term():
    assert [term.name for term in supervised_terms(toy.recipe(head_penalty=0))] == ["cross-entropy"]


def match_teacher(step: Step, *, teacher: Classifier) -> torch.Tensor:
    """A term as feature matching will be: it needs the stages of the forward pass that made the logits."""
    with torch.no_grad():
        wanted = teacher.stages(step.images)
    return sum(functional.mse_loss(one, other) for one, other in zip(step.stages, wanted, strict=True))


def test_a_new_term_sees_the_stages(lesson, tmp_path):
    teacher, student = toy.classifier(seed=1).eval(), toy.classifier(seed=2)
    before = sum(functional.mse_loss(*pair).item() for pair in zip(*stages_of(student, teacher), strict=True))
    matching = Term("matching", match_teacher, weight=5.0, settings={"teacher": teacher}, needs_stages=True)
    training = toy.recipe(iterations=40, weight_decay=0, learning_rate=0.02)
    history = train(student, lesson, (Phase("matching", training, (*supervised_terms(training), matching)),), tmp_path)
    after = sum(functional.mse_loss(*pair).item() for pair in zip(*stages_of(student, teacher), strict=True))
    assert after < before  # matching pulls the features together: its sign is right (docs/definitions.md#b13)
    row = history[-1]
    parts = row["loss_cross_entropy"] + row["loss_head_penalty"] + row["loss_matching"]
    assert row["loss"] == pytest.approx(parts)
    assert history[0]["loss_matching"] == pytest.approx(5 * before, rel=0.7)


def stages_of(*models: Classifier) -> list[list[torch.Tensor]]:
    images = torch.linspace(0, 1, 4 * 3 * 144).reshape(4, 3, 12, 12)
    with torch.no_grad():
        return [copy.deepcopy(model).train().stages(images) for model in models]


# schedules and optimiser


@pytest.mark.parametrize(("name", "total"), [("cosine", 1), ("cosine", 17), ("constant", 5)])
def test_schedules_are_torchs(name, total):
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    makers = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=total),
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1),
    }
    oracle = makers[name]()
    for iteration in range(total):
        assert schedule(name)(iteration, total) == pytest.approx(oracle.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        oracle.step()
    with pytest.raises(ConfigError):
        schedule("linear")


def test_a_velocity_is_no_gradient_that_somebody_else_may_change():
    weight = nn.Parameter(torch.zeros(1))
    optimiser = SGD([([weight], 1.0)], momentum=0.5, weight_decay=0)
    weight.grad = torch.ones(1)
    optimiser.step(1.0)
    weight.grad.zero_()
    optimiser.step(1.0)
    assert weight.item() == -1.5


# batches


def test_every_epoch_shows_every_image_once_and_batches_are_full():
    stream = RowStream(10, batch_size=4, seed=1)
    rows = np.concatenate([stream.rows(iteration) for iteration in range(10)])
    assert len(rows) == 40
    epochs = [tuple(rows[start : start + 10]) for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(epochs)) == 4


def test_rows_depend_on_seed_and_iteration_alone():
    stream, again = RowStream(7, batch_size=5, seed=1), RowStream(7, batch_size=5, seed=1)
    rows = [stream.rows(iteration) for iteration in range(6)]
    assert all(np.array_equal(again.rows(iteration), rows[iteration]) for iteration in (5, 0, 3))
    assert not np.array_equal(RowStream(7, batch_size=5, seed=2).rows(0), rows[0])


def test_fewer_images_than_a_batch_holds_are_repeated():
    counts = Counter(RowStream(3, batch_size=8, seed=0).rows(0).tolist())
    assert sorted(counts.values()) == [2, 3, 3]


# the loop


def test_training_learns_and_tells_its_history(lesson, tmp_path):
    model = toy.classifier()
    training = toy.recipe(iterations=60, validate_every=20, head_rate=1)
    history = train(model, lesson, (supervised_phase(training),), tmp_path)
    assert [row["iteration"] for row in history] == [20, 40, 60]
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert history[-1]["validation_accuracy"] > 0.8
    assert history[-1]["train_accuracy"] > 0.8
    assert [row["learning_rate"] for row in history] == pytest.approx(
        [0.05 * 0.5 * (1 + math.cos(math.pi * step / 60)) for step in (19, 39, 59)]
    )
    assert not model.training
    assert model.body.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_validation_waits_for_the_end_unless_asked_for(lesson, tmp_path):
    history = train(toy.classifier(), lesson, (supervised_phase(toy.recipe(iterations=40)),), tmp_path)
    assert len(history) == 20
    assert [row["validation_accuracy"] is None for row in history] == [True] * 19 + [False]
    blind = Lesson(lesson.train, None, lesson.augmentation)
    assert (
        train(toy.classifier(), blind, (supervised_phase(toy.recipe()),), tmp_path / "b")[-1]["validation_accuracy"]
        is None
    )


def test_accuracies_are_of_the_images_they_are_named_after(lesson, tmp_path):
    """docs/definitions.md#b3: a published script evaluated the test images and called it the training set."""
    held = lesson.validation
    place = held.table.column_names.index("label")
    wrong = held.table.set_column(place, "label", pa.array((held.labels + 1) % 3, pa.int32()))
    lying = replace(lesson, validation=replace(held, table=wrong))
    training = toy.recipe(iterations=60, head_rate=1, validate_every=20)
    last = train(toy.classifier(), lying, (supervised_phase(training),), tmp_path)[-1]
    assert last["train_accuracy"] > 0.8
    assert last["validation_accuracy"] < 0.2


@pytest.mark.parametrize("every", [2, 3, 6])
def test_a_row_of_history_is_the_mean_over_its_steps(lesson, tmp_path, every):
    """docs/definitions.md#b4: published averages were divided by the wrong count."""
    histories = [
        train(toy.classifier(), lesson, (supervised_phase(toy.recipe(validate_every=steps)),), tmp_path, identity=steps)
        for steps in (1, every)
    ]
    single, several = histories
    for place, row in enumerate(several):
        mine = single[place * every : (place + 1) * every]
        for name in ("loss", "loss_cross_entropy", "loss_head_penalty", "train_accuracy"):
            assert row[name] == pytest.approx(np.mean([step[name] for step in mine]), rel=1e-6)


def test_the_first_steps_are_what_plain_torch_computes(data, tmp_path):
    lesson = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    training = toy.recipe(iterations=3, batch_size=24, momentum=0.9, learning_rate=0.1, head_rate=10)
    model = toy.classifier()
    oracle = copy.deepcopy(model).train()
    history = train(model, lesson, (supervised_phase(training),), tmp_path)
    images = torch.from_numpy(lesson.train.batch(np.arange(24))).permute(0, 3, 1, 2) / 255
    labels = torch.from_numpy(lesson.train.labels)
    body = [weight for name, weight in oracle.named_parameters() if "fc" not in name]
    groups = [{"params": body, "lr": 0.1}, {"params": oracle.head.parameters(), "lr": 1.0}]
    optimiser = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=3)
    losses = []
    for _ in range(3):  # a batch is the whole training set, so its order does not matter
        optimiser.zero_grad()
        penalty = sum(weight.square().sum() for weight in oracle.head.parameters())
        loss = functional.cross_entropy(oracle(images), labels) + 1e-2 / 2 * penalty
        loss.backward()
        losses.append(loss.item())
        optimiser.step()
        scheduler.step()
    assert [row["loss"] for row in history] == pytest.approx(losses, rel=1e-4)
    for name, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, atol=1e-4), name


def test_a_training_is_a_function_of_its_seed(lesson, tmp_path):
    models = [toy.classifier() for _ in range(3)]
    phase = supervised_phase(toy.recipe(), stage_dropout=0.2)
    for place, (model, seed) in enumerate(zip(models, (1, 1, 2), strict=True)):
        torch.manual_seed(place)  # whatever was drawn before must not matter
        train(model, lesson, (phase,), tmp_path / str(place), seed=seed)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_a_transform_sees_augmented_images_their_labels_and_their_rows(lesson, tmp_path):
    seen = []

    def transform(images, labels, rows, generator):
        assert isinstance(generator, torch.Generator)
        seen.append((images.clone(), labels.clone(), rows))
        return torch.zeros_like(images), torch.zeros_like(labels)

    spoiled = Lesson(lesson.train, None, lesson.augmentation, transform)
    history = train(toy.classifier(), spoiled, (supervised_phase(toy.recipe(iterations=40)),), tmp_path)
    images, labels, rows = seen[0]
    assert images.shape == (8, 3, 12, 12)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert np.array_equal(labels.numpy(), lesson.train.labels[rows])
    assert history[-1]["train_accuracy"] == 1  # it learned what the transform says


def test_bf16_is_for_training_alone(lesson, tmp_path):
    kinds = {"train": set(), "evaluation": set()}
    model = toy.classifier()
    note = lambda module, _, output: kinds["train" if module.training else "evaluation"].add(output.dtype)  # noqa: E731
    model.body.layer1[0].relu.register_forward_hook(note)
    history = train(model, lesson, (supervised_phase(toy.recipe()),), tmp_path, precision="bf16")
    assert kinds == {"train": {torch.bfloat16}, "evaluation": {torch.float32}}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert math.isfinite(history[-1]["loss"])


def test_a_diverging_training_says_where_and_what_to_do(lesson, tmp_path):
    phases = (supervised_phase(toy.recipe(iterations=20, learning_rate=1e18, schedule="constant")),)
    with pytest.raises(TrainingError) as caught:
        train(toy.classifier(), lesson, phases, tmp_path, seconds=1e-9)
    named = re.search(r"iteration (\d+)", str(caught.value))
    assert named is not None  # the second or third, as the processor rounds
    assert "1e+18" in str(caught.value)
    assert "learning_rate" in caught.value.mend
    kept = torch.load(tmp_path / NAME, weights_only=True)["content"]  # of before the loss was lost
    assert kept["iteration"] == int(named[1]) - 1 > 0


def test_figures_do_not_depend_on_when_the_device_is_read():
    one, other = Meter(["a"], phase="p"), Meter(["a"], phase="p")
    values = torch.rand(120, 2, generator=torch.Generator().manual_seed(0))
    for iteration, (loss, right) in enumerate(values):
        one.add(iteration, 0.1, loss[None], right)
        other.add(iteration, 0.1, loss[None], right)
        if iteration % 7 == 0:
            other.read()
    assert one.row() == other.row()


# checkpoints


@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize("stop", [0, 4, 9])
def test_an_interrupted_training_ends_as_an_undisturbed_one(lesson, tmp_path, seconds, stop):
    training = toy.recipe(iterations=6, momentum=0.9, validate_every=6)  # sums of six steps are carried over

    def phases(first=99, second=99):
        names = {"first": StopAt(first), "second": StopAt(second)}
        return tuple(
            supervised_phase(training, name=name, hooks=(hook,), stage_dropout=0.2) for name, hook in names.items()
        )

    start = toy.classifier
    calm = start()
    expected = train(calm, lesson, phases(), tmp_path / "calm")
    with pytest.raises(Stop):
        train(start(), lesson, phases(stop, stop - 6 if stop >= 6 else 99), tmp_path / "hurt", seconds=seconds)
    resumed = start()
    torch.manual_seed(99)
    assert train(resumed, lesson, phases(), tmp_path / "hurt", seconds=seconds) == expected
    assert same(resumed, calm)


@pytest.mark.parametrize("stop", [None, 2, 8])
def test_a_phase_trains_its_submodule_and_the_next_the_whole_model(lesson, tmp_path, stop):
    """The head first, everything else bit-identical, then all; interrupted in either phase it ends the same."""
    training = toy.recipe(iterations=6, momentum=0.9, weight_decay=0.1)
    start, between = state_copy(toy.classifier()), {}

    class Look(StepHook):
        def after_step(self, model, iteration):
            if iteration == 5:
                between.update(state_copy(model))

    def phases(first=99, second=99):
        head = supervised_phase(training, name="head", hooks=(Look(), StopAt(first)), trained=("body.fc",))
        return head, supervised_phase(training, name="all", hooks=(StopAt(second),))

    calm = toy.classifier()
    train(calm, lesson, phases(), tmp_path / "calm")
    own = {"body.fc.weight", "body.fc.bias"}
    assert {name for name, value in between.items() if not torch.equal(value, start[name])} == own
    moved = {name for name, _ in calm.named_parameters() if not torch.equal(calm.state_dict()[name], between[name])}
    assert moved == {name for name, _ in calm.named_parameters()}
    if stop is not None:
        interrupted = phases(stop, stop - 6 if stop >= 6 else 99)
        with pytest.raises(Stop):
            train(toy.classifier(), lesson, interrupted, tmp_path / "hurt", seconds=1e-9)
        resumed = toy.classifier()
        train(resumed, lesson, phases(), tmp_path / "hurt", seconds=1e-9)
        assert same(resumed, calm)


def test_a_resumed_training_does_not_start_again(lesson, tmp_path):
    steps = []

    class Count(StepHook):
        def after_step(self, model, iteration):
            steps.append(iteration)

    with pytest.raises(Stop):
        train(toy.classifier(), lesson, (supervised_phase(toy.recipe(), hooks=(StopAt(4),)),), tmp_path, seconds=1e-9)
    train(toy.classifier(), lesson, (supervised_phase(toy.recipe(), hooks=(Count(),)),), tmp_path)
    assert steps == [4, 5]  # the step that was interrupted before its checkpoint, and the last


def test_a_hooks_memory_is_kept(lesson, tmp_path):
    class Sum(StepHook):
        def __init__(self):
            self.total = torch.zeros(())

        def after_step(self, model, iteration):
            self.total = self.total + model.head.bias.detach().sum()

        def state(self):
            return {"total": self.total}

        def restore(self, state):
            self.total = state["total"]

    calm, first, second = Sum(), Sum(), Sum()
    train(toy.classifier(), lesson, (supervised_phase(toy.recipe(), hooks=(calm,)),), tmp_path / "calm")
    with pytest.raises(Stop):
        phases = (supervised_phase(toy.recipe(), hooks=(first, StopAt(3))),)
        train(toy.classifier(), lesson, phases, tmp_path, seconds=1e-9)
    train(toy.classifier(), lesson, (supervised_phase(toy.recipe(), hooks=(second, StopAt(99))),), tmp_path)
    assert torch.equal(calm.total, second.total)


def test_checkpoints_of_other_trainings_and_damaged_ones_are_dropped(tmp_path, caplog):
    caplog.set_level("INFO")
    mine = Checkpoint(tmp_path, seconds=60, identity={"learning_rate": 0.1})
    mine.save({"iteration": 3, "model": {"weight": torch.ones(2)}})
    again = Checkpoint(tmp_path, seconds=60, identity={"learning_rate": 0.1}).load()
    assert again is not None
    assert again["iteration"] == 3
    assert Checkpoint(tmp_path, seconds=60, identity={"learning_rate": 0.2}).load() is None
    assert "other parameters" in caplog.text
    assert not mine.path.exists()
    mine.save({"iteration": 3})
    mine.path.write_bytes(mine.path.read_bytes()[:100])
    assert mine.load() is None
    assert "damaged" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_due_after_its_interval(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path, seconds=60, identity={})
    now = 159.0
    assert not checkpoint.due()
    now = 160.0
    assert checkpoint.due()
    checkpoint.save({})
    assert not checkpoint.due()


def pretrain(data: Path, out: Path, *, checkpoint_seconds: float = 60.0, **changes: object) -> None:
    pretrain_teacher.run(
        inputs=toy.development(data),
        outputs=toy.model_files(out),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(**changes),
        augmentation=toy.MOVING,
        seed=4,
        code="code",
        checkpoint_seconds=checkpoint_seconds,
    )


def test_pretraining_writes_a_teacher_and_leaves_no_checkpoint(data, tmp_path):
    pretrain(data, tmp_path / "a")
    pretrain(data, tmp_path / "b")
    names = {"card.json", "weights.safetensors", "history.parquet"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    card = read_card(tmp_path / "a" / "card.json")
    assert (card["kind"], card["classes"], card["crop"], card["dataset"]) == ("teacher", 3, 12, "toy")
    assert card["class_names"] == ["class 0", "class 1", "class 2"]
    history = read_table(tmp_path / "a" / "history.parquet").to_pylist()
    assert history[-1]["validation_accuracy"] == card["validation_accuracy"]
    assert [row["iteration"] for row in history] == [1, 2, 3, 4, 5, 6]


def test_a_data_set_without_validation_trains(tmp_path):
    pretrain(toy.write_data(tmp_path / "data", validation=0), tmp_path / "out")
    assert read_card(tmp_path / "out" / "card.json")["validation_accuracy"] is None


@pytest.mark.faults
def test_a_killed_training_continues_to_the_same_bytes(data, tmp_path):
    hurt, calm = tmp_path / "hurt", tmp_path / "calm"
    call = f"pretrain(Path({str(data)!r}), Path({str(hurt)!r}), iterations=20, checkpoint_seconds=1e-9)"
    killed(f"from tests.unit.test_training import pretrain\n{call}", iteration=7)
    assert not (hurt / "weights.safetensors").exists()
    assert torch.load(hurt / NAME, weights_only=True)["content"]["iteration"] == 7
    pretrain(data, hurt, iterations=20)
    pretrain(data, calm, iterations=20)
    assert sorted(path.name for path in hurt.iterdir()) == sorted(path.name for path in calm.iterdir())
    assert all((hurt / path.name).read_bytes() == path.read_bytes() for path in calm.iterdir())


# constraints


@pytest.mark.parametrize("ratio", [0.0, 0.29, 0.5, 0.9, 1.0])
def test_the_conv_mask_trains_the_largest_weights_by_rank(ratio):
    model = toy.classifier()
    with torch.no_grad():
        for weight in conv_weights(model).values():
            weight[torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)) < 0.4] = 0  # ties
    mask = conv_mask(model, ratio)
    values = torch.cat([weight.detach().abs().flatten() for weight in conv_weights(model).values()])
    trained = torch.cat([part.flatten() for part in mask.values()])
    count = len(values)
    assert int(trained.sum()) == count - math.floor(round(ratio * 100) * count / 100)
    if 0 < ratio < 1:
        assert values[trained].min() >= values[~trained].max()
    assert mask.keys() == conv_weights(model).keys()
    assert all(part.shape == conv_weights(model)[name].shape for name, part in mask.items())


def test_frozen_weights_stay_bit_identical_under_weight_decay_and_momentum(lesson, tmp_path):
    model = toy.classifier()
    with torch.no_grad():
        model.body.conv1.weight[0, 0, 0, 0] = -0.0  # its sign is a bit, too
    mask = conv_mask(model, 0.7)
    before = state_copy(model)
    frozen = FrozenWeights(model, mask)
    assert frozen.frozen == sum(int((~part).sum()) for part in mask.values())
    training = toy.recipe(iterations=10, momentum=0.9, weight_decay=0.1)
    train(model, lesson, (supervised_phase(training, hooks=(frozen,)),), tmp_path)
    bits = lambda tensor: tensor.contiguous().view(torch.int32)  # noqa: E731
    after = model.state_dict()
    for name, part in mask.items():
        assert torch.equal(bits(after[name])[~part], bits(before[name])[~part]), name
        assert (after[name] != before[name])[part].float().mean() > 0.99
    others = [name for name, _ in model.named_parameters() if name not in mask]
    assert all(not torch.equal(after[name], before[name]) for name in others)


def test_a_mask_that_freezes_nothing_holds_nothing():
    model = toy.classifier()
    assert FrozenWeights(model, conv_mask(model, 0.0)).frozen == 0
    with pytest.raises(ConfigError, match="conv"):
        constraint("cnov", model, 0.5)


def test_augmentation_is_drawn_anew_at_every_visit(data, tmp_path):
    seen = []

    def transform(images, labels, rows, _generator):
        seen.append({int(row): image for row, image in zip(rows, images, strict=True)})
        return images, labels

    moving = Augmentation(crop="padded", padding=3)
    lesson = Lesson(toy.opened(data).split("train"), None, moving, transform)
    train(toy.classifier(), lesson, (supervised_phase(toy.recipe(iterations=6, batch_size=24)),), tmp_path)
    visits = torch.stack([visit[0] for visit in seen])
    assert len(torch.unique(visits.flatten(1), dim=0)) > 1
