"""Criticality: against a case worked out by hand, with and without the cache, and as a stage that may be killed."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from heirloom.config.robust import Criticality
from heirloom.config.robust_training import InnerAttack
from heirloom.data.resident import Images
from heirloom.models.classifier import state_copy
from heirloom.models.replay import held
from heirloom.models.weights import load_classifier
from heirloom.rift import criticality
from heirloom.rift.criticality import (
    Examples,
    Measurement,
    Module,
    Standing,
    adversarial_examples,
    ascent,
    chosen_images,
    modules_of,
    projected,
    shuffled,
)
from heirloom.runtime.errors import TrainingError
from heirloom.runtime.files import read_table, sha256_of, verify_card
from heirloom.stages import measure_criticality, pretrain_teacher
from tests.unit import toy

CPU = torch.device("cpu")


def settings(**changes):
    """A short measurement on one thread."""
    short = {"epochs": 3, "batch_size": 8, "threads": 1, "attack": InnerAttack(steps=2)}
    return Criticality.model_validate(short | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of three classes, and a model that was trained on them a little."""
    folder = tmp_path_factory.mktemp("criticality")
    toy.write_data(folder / "data", images=25)
    pretrain_teacher.run(
        inputs=toy.development(folder / "data"),
        outputs=toy.model_files(folder / "model"),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(iterations=20, head_rate=1),
        augmentation=toy.STILL,
        seed=0,
        code="code",
    )
    return folder


@pytest.fixture
def model(folder):
    return robust(folder)


def robust(folder):
    files = toy.model_files(folder / "model")
    return load_classifier(files.weights, files.card)


@pytest.fixture(scope="module")
def images(folder):
    return Images(toy.opened(folder / "data").split("train"), CPU)


class Linear(nn.Module):
    """A linear layer behind an idle one, so that there is something to hold."""

    def __init__(self, weight):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        self.body[1].weight = nn.Parameter(weight)

    def forward(self, images):
        return self.body(images)


@pytest.mark.parametrize("exact", [False, True])
def test_a_linear_model_is_as_critical_as_worked_out_by_hand(exact):
    # W = diag(3, 4), x = (4, 3): both logits are 12, the loss is log 2. Its gradient by W is (p - y) x^T with p - y =
    # (-1/2, 1/2), of length 5 / sqrt 2 = 3.54, and the ball's radius .1 * ||W|| = .5: the one step ends on its surface.
    # From there the logits differ by 2 * .5 * ||x|| / sqrt 2 = 5 / sqrt 2.
    model = Linear(torch.tensor([[3.0, 0.0], [0.0, 4.0]])).eval()
    examples = Examples(held(torch.tensor([4.0, 3.0]).reshape(1, 2, 1, 1)), torch.tensor([0]))
    module = Module("1", "linear", "head", model.body[1].weight)
    found = Measurement(model, examples, settings(epochs=1), exact=exact).of(module)
    worst = math.log1p(math.exp(5 / math.sqrt(2)))
    assert found.loss_start == pytest.approx(math.log(2), abs=1e-6)
    assert found.loss_max == pytest.approx(worst, abs=1e-5)
    assert found.criticality == pytest.approx(worst - math.log(2), abs=1e-5)
    assert (found.robust_accuracy_start, found.robust_accuracy_worst) == (1.0, 0.0)  # of equal logits the first
    assert (found.epoch, found.parameters, found.module) == (1, 4, "1")


def test_a_second_epoch_goes_on_from_the_projected_point():
    # One weight w = 2, x = 1, two logits (w, 0) and label 0: the loss is log(1 + exp(-w)), its gradient -1/(1+exp(w)).
    weight = nn.Parameter(torch.tensor([[2.0], [0.0]]))

    def forward(rows):
        return torch.ones(len(rows), 1) @ weight.T * torch.tensor([1.0, 0.0])

    points = ascent(weight, forward, torch.tensor([0]), settings(epochs=2, epsilon=0.09, learning_rate=1.0))
    first = 2 - 1 / (1 + math.exp(2))  # -.119, inside the radius .18
    second = max(first - 1 / (1 + math.exp(first)), 2 - 0.18)  # -.13 more, projected
    assert second == 1.82
    for point, at in zip(points, (first, second), strict=True):
        assert point.loss == pytest.approx(math.log1p(math.exp(-at)), abs=1e-6)
    assert torch.equal(weight.detach(), torch.tensor([[2.0], [0.0]]))


def test_projection_onto_the_relative_frobenius_ball():
    start = torch.randn((4, 3, 3, 3), generator=torch.Generator().manual_seed(0))
    change = torch.randn((4, 3, 3, 3), generator=torch.Generator().manual_seed(1))
    found = projected(start + change, start, 0.1)
    assert float((found - start).norm()) == pytest.approx(0.1 * float(start.norm()), rel=1e-5)
    direction = cosine(found - start, change)
    assert direction == pytest.approx(1, abs=1e-5)
    near = start + 0.09 * start.norm() * change / change.norm()
    assert torch.equal(projected(near, start, 0.1), near)
    assert torch.equal(projected(torch.ones(3), torch.zeros(3), 0.1), torch.zeros(3))


def cosine(one, other):
    return float(nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))


def test_with_and_without_the_cache_every_module_is_equally_critical(model, images):
    before = state_copy(model)
    examples = adversarial_examples(model, images, settings())
    short = settings(epochs=2)
    held_, exact = (Measurement(model, examples, short, exact=exact) for exact in (False, True))
    tight = Measurement(model, examples, short, budget=len(images.part) * 3000)
    modules = modules_of(model)
    assert list(modules) == [
        *("conv1", "layer1.0.conv1", "layer1.0.conv2"),
        *(f"layer{stage}.0.{part}" for stage in (2, 3) for part in ("conv1", "conv2", "downsample.0")),
        "fc",
    ]
    for module in modules.values():
        expected = exact.of(module)
        for found in (held_.of(module), tight.of(module)):
            assert found.criticality == pytest.approx(expected.criticality, abs=1e-5)
            assert found.loss_max == pytest.approx(expected.loss_max, abs=1e-5)
            assert found[:4] == expected[:4]
            assert found[-3:] == expected[-3:]
        assert expected.criticality > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_an_ascent_is_the_plain_one_written_down_step_by_step(model, images):
    """Every gradient, a projection of one's own, a judgement of its own after each epoch, all on the whole model."""
    short = settings(epochs=3)
    examples = adversarial_examples(model, images, short)
    pictures = examples.images.take(torch.arange(len(examples.labels)))
    for name in ("layer1.0.conv1", "fc"):
        plain = copy.deepcopy(model)
        weight = plain.body.get_submodule(name).weight
        start, losses = weight.detach().clone(), []
        for epoch in range(short.epochs):
            for rows in shuffled(examples.labels, epoch, short):
                plain.zero_grad()
                nn.functional.cross_entropy(plain(pictures[rows]), examples.labels[rows]).backward()
                weight.data += weight.grad
            change = weight.data - start
            length = float(change.norm() / start.norm())
            weight.data = start + change * (0.1 / length if length > 0.1 else 1)
            losses.append(nn.functional.cross_entropy(plain(pictures), examples.labels).item())
        found = Measurement(model, examples, short).of(modules_of(model)[name])
        assert found.loss_max == pytest.approx(max(losses), abs=1e-5)
        assert found.epoch == 1 + losses.index(max(losses))


def test_a_step_and_the_judgement_before_it_share_a_pass(model, images):
    examples = adversarial_examples(model, images, settings())
    calls = []

    def forward(rows):
        calls.append(len(rows))
        return model(examples.images.take(rows))

    ascent(modules_of(model)["fc"].weight, forward, examples.labels, settings(epochs=3))
    assert len(calls) == 3 * (3 + 3) - 2
    assert sum(calls) == 3 * (20 + 20) - 2 * 8


def test_only_the_measured_weight_moves_and_stays_in_its_ball(model, images):
    examples = adversarial_examples(model, images, settings())
    before = state_copy(model)
    modules = modules_of(model)
    weight, seen = modules["layer2.0.conv2"].weight, []

    def forward(rows):
        if not torch.is_grad_enabled():  # the end of an epoch
            state = model.state_dict()
            seen.append({name for name in before if not torch.equal(state[name], before[name])})
            change, start = weight - before["body.layer2.0.conv2.weight"], before["body.layer2.0.conv2.weight"]
            assert float(change.norm() / start.norm()) <= 0.1 * (1 + 1e-5)
        return model(examples.images.take(rows))

    ascent(weight, forward, examples.labels, settings(learning_rate=100.0))
    assert seen
    assert all(names == {"body.layer2.0.conv2.weight"} for names in seen)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("losses", "epoch", "expected"), [([0.5, 0.9, 0.7], 0, 0.0), ([1.5, 3.0, 3.0], 2, 2.0), ([4.0, 2.0, 3.0], 1, 3.0)]
)
def test_criticality_is_the_largest_rise_of_any_epoch_and_never_negative(
    model, images, monkeypatch, losses, epoch, expected
):
    monkeypatch.setattr(criticality, "ascent", lambda *_: [Standing(loss, 0.1 * loss) for loss in losses])
    measurement = Measurement(model, adversarial_examples(model, images, settings()), settings())
    measurement.start = Standing(1.0, 0.9)
    found = measurement.of(modules_of(model)["fc"])
    assert (found.criticality, found.epoch) == (expected, epoch)
    assert found.robust_accuracy_worst == (0.9 if not epoch else 0.1 * losses[epoch - 1])


def test_an_ascent_that_overflows_is_told(model, images, monkeypatch):
    monkeypatch.setattr(criticality, "ascent", lambda *_: [Standing(math.nan, 0.0)])
    measurement = Measurement(model, adversarial_examples(model, images, settings()), settings())
    with pytest.raises(TrainingError, match="no finite number") as told:
        measurement.of(modules_of(model)["layer1.0.conv1"])
    assert "layer1.0.conv1" in told.value.where
    assert "learning_rate" in told.value.mend


def test_examples_stay_within_the_budget_and_do_not_depend_on_the_batch(model, images):
    found = adversarial_examples(model, images, settings())
    rows = np.arange(len(images.part))
    clean = torch.from_numpy(images.part.batch(rows)).permute(0, 3, 1, 2).float() / 255
    attacked = found.images.take(torch.from_numpy(rows))
    assert float((attacked - clean).abs().max()) <= 8 / 255 + 1e-6
    assert 0 <= float(attacked.min()) <= float(attacked.max()) <= 1
    assert found.labels.tolist() == images.part.labels.tolist()
    together = adversarial_examples(model, images, settings(batch_size=512))
    torch.testing.assert_close(together.images.take(torch.from_numpy(rows)), attacked, atol=1e-5, rtol=0)


def test_images_are_chosen_by_seed_and_a_smaller_choice_is_part_of_a_larger(folder):
    part = toy.opened(folder / "data").split("train")
    few, more = (chosen_images(part, settings(images=count)).samples for count in (5, 9))
    assert len(few) == 5
    assert set(few) < set(more)
    assert few == sorted(few, key=part.samples.index)
    assert chosen_images(part, settings(images=5, seed=1)).samples != few
    assert chosen_images(part, settings()).samples == part.samples


def test_stages_are_the_bodys_with_stem_and_head_apart(model):
    stages = {name: module.stage for name, module in modules_of(model).items()}
    assert stages["conv1"] == "stem"
    assert stages["layer2.0.downsample.0"] == "layer2"
    assert stages["fc"] == "head"
    mobile = modules_of(toy.classifier(body=type(toy.BODY)(name="mobilenet_v2")))
    assert mobile["features.0.0"].stage == "stem"
    assert mobile["features.4.conv.0.0"].stage == "features.6"  # a stage of several blocks
    assert mobile["classifier.1"].stage == "head"


def measure(folder, out, **changes):
    """Run the stage and return its rows."""
    teacher = toy.model_files(folder / "model")
    files = {name: out / f"{name}.parquet" for name in ("criticality", "measures")}
    measure_criticality.run(
        inputs=measure_criticality.Inputs(
            **toy.files_of(folder / "data"), model_card=teacher.card, model_weights=teacher.weights
        ),
        outputs=measure_criticality.Outputs(card=out / "card.json", **files),
        **{"criticality": settings(), "seed": 7, "code": "code", **changes},
    )
    return read_table(files["criticality"]).to_pylist()


def test_the_stage_writes_a_row_for_each_module_and_measures_of_the_unrepaired_model(folder, tmp_path):
    rows = measure(folder, tmp_path)
    assert [row["module"] for row in rows] == list(modules_of(robust(folder)))
    assert {row["loss_start"] for row in rows} == {rows[0]["loss_start"]}
    assert all(row["criticality"] == row["loss_max"] - row["loss_start"] for row in rows)
    assert all(0 <= row["epoch"] <= 3 for row in rows)
    measures = read_table(tmp_path / "measures.parquet").to_pylist()
    assert [(row["condition"], row["value"]) for row in measures] == [
        (row["module"], row["criticality"]) for row in rows
    ]
    assert {(row["method"], row["seed"], row["attack"], row["metric"], row["sample"]) for row in measures} == {
        ("unrepaired", 7, "none", "criticality", "")
    }
    card = verify_card(tmp_path / "card.json")
    assert card["model"] == sha256_of(folder / "model" / "weights.safetensors")
    assert card["images"] == 20


def test_a_killed_measurement_continues_after_its_last_module_to_the_same_bytes(folder, tmp_path, monkeypatch):
    measure(folder, tmp_path / "calm")
    of, names = Measurement.of, []

    def counted(self, module):
        names.append(module.name)
        if len(names) == 4:
            raise KeyboardInterrupt
        return of(self, module)

    monkeypatch.setattr(Measurement, "of", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(folder, tmp_path / "hurt", checkpoint_seconds=0)
    assert not (tmp_path / "hurt" / "card.json").exists()
    measure(folder, tmp_path / "hurt", checkpoint_seconds=0)
    every = list(modules_of(robust(folder)))
    assert names == [*every[:4], *every[3:]]
    assert sorted(path.name for path in (tmp_path / "hurt").iterdir()) == sorted(
        path.name for path in (tmp_path / "calm").iterdir()
    )
    for path in (tmp_path / "calm").iterdir():
        assert (tmp_path / "hurt" / path.name).read_bytes() == path.read_bytes()


def test_another_epsilon_starts_anew(folder, tmp_path, monkeypatch):
    of, names = Measurement.of, []

    def counted(self, module):
        names.append(module.name)
        if len(names) == 3:
            raise KeyboardInterrupt
        return of(self, module)

    monkeypatch.setattr(Measurement, "of", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(folder, tmp_path, checkpoint_seconds=0)
    measure(folder, tmp_path, checkpoint_seconds=0, criticality=settings(epsilon=0.2))
    assert names[3:] == list(modules_of(robust(folder)))
