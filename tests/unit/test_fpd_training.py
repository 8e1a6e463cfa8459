"""FPD's training against plain loops, attacks on the model's own predictions, and the stage from files to files."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch.nn import functional

from heirloom.config.costs import Cost
from heirloom.config.models import Body, Normalisation
from heirloom.config.robust import RobustModel, RobustObjective, RobustTrained
from heirloom.config.robust_training import InnerAttack, SteppedTraining
from heirloom.config.work import robust_load
from heirloom.models.classifier import Classifier, build_classifier, placed, state_copy
from heirloom.runtime.devices import Compute, cpu_threads
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import read_card, read_table
from heirloom.stages import train_robust
from heirloom.training.attacker import Attacker, Both, robust_plan
from heirloom.training.checkpoints import NAME
from heirloom.training.loop import CLEAN, Lesson
from heirloom.training.phases import StepHook
from heirloom.training.session import lesson_of
from tests.unit import toy
from tests.unit.killed import killed
from tests.unit.toy import train_by as train

CPU = Compute(device=torch.device("cpu"), threads=1, precision="fp32")
OPTIONS = {"width": 4, "lateral": 4, "dropout": 0}
FPD = Body(name="fpd-resnet18", options=OPTIONS)
PLAIN = Body(name="elu-resnet18", options={"width": 4})
UNITS = Normalisation(mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.5))
PGD = InnerAttack(epsilon=0.06, step=0.02, steps=3)
FGSM = InnerAttack(epsilon=0.06, step=0.06, steps=1, random_start=False)
SEEN = 24  # training images, which are one batch


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def lesson(data) -> Lesson:
    return lesson_of(toy.opened(data), toy.STILL)


@pytest.fixture
def one_thread():
    """Sums in one order, as in the training: Adam's first steps follow signs."""
    with cpu_threads(1):
        yield


def network(body: Body = FPD) -> Classifier:
    return build_classifier(body, UNITS, classes=3, seed=0)


def recipe(**changes) -> SteppedTraining:
    settings = {"iterations": 4, "batch_size": SEEN, "learning_rate": 0.01, "weight_decay": 0, "optimiser": "adam"}
    return toy.stepped(**{"validate_every": 1, **settings, **changes})


def objective(name="fpd", **settings) -> RobustObjective:
    threshold = {"threshold": None} if name == "fpd" else {}
    return TypeAdapter(RobustObjective).validate_python({"kind": name, **threshold, **settings})


def planned(model, training, **settings):
    described = objective(**settings)
    return robust_plan(described, training, Attacker(model, described.attack, CPU))


def pictures(count):
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def recorded(plan, shown):
    """The plan, and each batch it shows, in a list."""

    def transform(*arguments):
        batch = plan.transform(*arguments)
        shown.append((arguments[0].clone(), batch))
        return batch

    return plan._replace(transform=transform)


# whole iterations


def restored_and_scores(model, images):
    """One forward pass, and the restored image on its way through."""
    kept = []
    handle = model.body.restored.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    scores = model(images)
    handle.remove()
    return kept[0], scores


def iterations_by_hand(model, batches, *, threshold, trained, target="clean", weight=1.0):
    """FPD's iterations as docs/fpd.md#training words them, in plain torch; returns which ended at the threshold."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (UNITS.mean, UNITS.std))
    ended = []
    for clean, batch in batches:
        labels = batch.labels[:SEEN]
        parts = batch.images.split(SEEN)
        passes = [restored_and_scores(model, part) for part in parts]
        wanted = [clean, parts[-1] if target == "adversarial" else clean]
        errors = [
            (restored - (image - mean) / std).square().mean()
            for (restored, _), image in zip(passes, wanted[: len(passes)], strict=True)
        ]
        optimiser.zero_grad()
        ended.append(bool(errors[0] > threshold))  # of the clean images
        if ended[-1]:
            errors[0].backward()
            for name, parameter in model.named_parameters():
                if not name.startswith(trained):
                    parameter.grad = None
            optimiser.step()
            continue
        entropies = [functional.cross_entropy(scores, labels) for _, scores in passes]
        (sum(entropies) / len(entropies) + sum(errors) / len(errors)).backward()
        optimiser.step()
        moved = {name: value.clone() for name, value in model.named_buffers()}
        restored, scores = restored_and_scores(model, passes[-1][0].detach() * std + mean)
        optimiser.zero_grad()
        (
            functional.cross_entropy(scores, labels) + weight * (restored - (clean - mean) / std).square().mean()
        ).backward()
        optimiser.step()
        toy.put_back(model, moved)
    return ended


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"as_published": True, "noise": 0.1, "second_weight": 0.1},
        {"attack": PGD.model_dump(), "noise": 0.0},
        {"attack": FGSM.model_dump(), "noise": 0.02, "target": "adversarial"},
    ],
)
def test_training_makes_the_steps_of_the_two_phases(data, tmp_path, settings):
    still = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    ungated = planned(network(), recipe(iterations=1), **{**settings, "as_published": False})
    first = train(network(), still, ungated, tmp_path / "trial")
    parts = 2 if "attack" in settings else 1
    threshold = 0.97 * parts * first[0]["loss_restoration"]  # above it at first, then below
    model, shown = network(), []
    oracle = placed(copy.deepcopy(model), torch.device("cpu")).train()
    plan = recorded(planned(model, recipe(), threshold=threshold, **settings), shown)
    history = train(model, still, plan, tmp_path)
    trained = "body.decoder.transposed." if settings.get("as_published") else "body.decoder."
    ended = iterations_by_hand(
        oracle,
        shown,
        threshold=threshold,
        trained=trained,
        target=settings.get("target", "clean"),
        weight=settings.get("second_weight", 1.0),
    )
    assert 0 < sum(ended) < 4  # else this asks little
    assert [row["gated_steps"] for row in history] == ended
    assert [row["second_loss_restoration"] is None for row in history] == ended
    for key, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, rtol=1e-4, atol=1e-4), key  # variances reach thousands


@pytest.mark.parametrize("as_published", [False, True])
def test_above_the_threshold_the_restoration_alone_learns(lesson, tmp_path, as_published):
    """docs/definitions.md#f2: an exhausted iterator left the published optimiser the transposed convolutions alone."""
    model = network()
    start, weights = state_copy(model), dict(model.named_parameters())
    training = recipe(weight_decay=0.1, clip=1.0)
    history = train(model, lesson, planned(model, training, threshold=1e-9, as_published=as_published), tmp_path)
    moved = {name for name in weights if not torch.equal(weights[name], start[name])}
    path = "body.decoder.transposed." if as_published else "body.decoder."
    assert moved == {name for name in weights if name.startswith(path)}
    assert len(moved) > 4
    assert [row["gated_steps"] for row in history] == [1] * 4
    assert history[-1]["loss_restoration"] < history[0]["loss_restoration"]


def test_without_a_threshold_both_phases_run_from_the_first_iteration(lesson, tmp_path):
    history = train(network(), lesson, planned(network(), recipe(), threshold=None), tmp_path)
    assert all("gated_steps" not in row and row["second_loss_cross_entropy"] > 0 for row in history)


def test_without_restoration_nothing_is_restored_and_nothing_fed_back(lesson, tmp_path):
    """The paper's FPD_R."""
    body = Body(name="fpd-resnet18", options={**OPTIONS, "restoration": 0})
    model, shown = network(body), []
    history = train(model, lesson, recorded(planned(model, recipe()), shown), tmp_path)
    assert not [name for name in history[-1] if "restoration" in name or "second" in name or "gated" in name]
    clean, batch = shown[0]
    assert 0.005 < (batch.images - clean).abs().max() <= 0.01


def test_a_plain_body_is_no_fpd():
    with pytest.raises(ConfigError, match="elu-resnet18 restores no image"):
        planned(network(PLAIN), recipe())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "adversarial"}, "target is for attacked images"),
        ({"as_published": True, "threshold": None}, "as_published is for steps above the threshold"),
    ],
)
def test_a_setting_of_fpd_that_would_do_nothing_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        objective(**settings)
    objective(attack=FGSM.model_dump(), target="adversarial", threshold=0.1, as_published=True)


def test_a_rate_that_could_fall_only_after_the_end_is_refused():
    with pytest.raises(ValueError, match="patience 11 ends the training before a rate falls that survives 10"):
        recipe(schedule="plateau", plateau_patience=10, patience=11)
    recipe(schedule="plateau", plateau_patience=10, patience=12)


def test_a_training_that_attacks_nothing_says_who_judges_it():
    """The default judge attacks, and what has learned nothing yet withstands it best."""
    source = {"kind": "trained", "training": recipe().model_dump(), "objective": {"kind": "cross-entropy"}}
    with pytest.raises(ValueError, match="set judge to null, or to the attack"):
        RobustTrained.model_validate(source)
    attacked = {**source, "objective": {"kind": "cross-entropy", "attack": {}}}
    assert RobustTrained.model_validate(attacked).judge is not None
    for judge in (None, {"images": 5}):
        RobustTrained.model_validate({**source, "judge": judge})


@pytest.mark.parametrize("settings", [{}, {"attack": PGD.model_dump()}])
def test_an_interrupted_training_of_fpd_ends_as_an_undisturbed_one(lesson, tmp_path, settings):
    training = recipe(iterations=5, batch_size=8, schedule="plateau", plateau_patience=0, patience=4)
    chooses, calm = replace(lesson, keep_best=True), network()
    expected = train(calm, chooses, planned(calm, training, threshold=1.0, **settings), tmp_path / "calm")
    hurt, resumed = network(), network()
    with pytest.raises(toy.Stop):
        plan = planned(hurt, training, threshold=1.0, **settings)
        train(hurt, chooses, plan, tmp_path / "hurt", seconds=1e-9, hooks=(toy.StopAt(3),))
    plan = planned(resumed, training, threshold=1.0, **settings)
    assert train(resumed, chooses, plan, tmp_path / "hurt", hooks=(StepHook(),)) == expected
    assert toy.same(resumed, calm)


def test_fpd_learns_to_restore_and_to_classify(lesson, tmp_path):
    model = network()
    history = train(model, lesson, planned(model, recipe(iterations=60, validate_every=20), threshold=1.0), tmp_path)
    # measured: 0.09 of 1.03, and every image right
    assert history[-1]["loss_restoration"] < 0.4 * history[0]["loss_restoration"]
    assert history[-1][CLEAN] > 0.8


# what is shown


def shown_by(both, images, labels):
    return both(images, labels, np.arange(len(labels)), torch.Generator().manual_seed(7))


@pytest.mark.parametrize("attack", [PGD, FGSM])
def test_images_are_attacked_away_from_predictions_and_trained_under_their_labels(attack):
    """No label leaks into the attack: where prediction and label differ, the prediction is attacked."""
    model = network(PLAIN).train()
    images = pictures(6)
    with torch.no_grad():
        predicted = copy.deepcopy(model).eval()(images).argmax(dim=1)
    labels = (predicted + 1) % 3
    batch = shown_by(Both(Attacker(model, attack, CPU)), images, labels)
    other = shown_by(Both(Attacker(model, attack, CPU)), images, (predicted + 2) % 3)
    assert torch.equal(batch.images, other.images)
    assert torch.equal(batch.labels, torch.cat([labels, labels]))
    assert torch.equal(batch.images[:6], images)
    attacker = Attacker(model, attack, CPU)
    away = attacker.attacked(images, predicted, torch.Generator().manual_seed(7))
    leaking = attacker.attacked(images, labels, torch.Generator().manual_seed(7))
    assert torch.equal(batch.images[6:], away)
    assert not torch.equal(away, leaking)
    assert (batch.images[6:] - images).abs().max() <= attack.epsilon + 1e-6
    assert model.training


def test_one_step_of_epsilon_from_the_image_is_fgsm():
    model = network(PLAIN).eval()
    images, labels = pictures(5).requires_grad_(), torch.tensor([0, 1, 2, 0, 1])
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(images), labels, reduction="sum"), images)
    expected = (images + FGSM.epsilon * gradient.sign()).clamp(0, 1).detach()
    found = Attacker(model, FGSM, CPU).attacked(images.detach(), labels, torch.Generator())
    assert ((found - expected).abs() < 1e-6).float().mean() > 0.99  # another order of sums may turn a sign


def test_noise_is_on_clean_images_alone_and_they_are_restored_without_it():
    images, labels = pictures(6), torch.tensor([0, 1, 2, 0, 1, 2])
    for target in ("clean", "adversarial"):
        both = Both(Attacker(network(PLAIN), PGD, CPU), noise=0.1, target=target)
        batch = shown_by(both, images, labels)
        noise = batch.images[:6] - images
        assert 0.09 < noise.abs().max() <= 0.1 + 1e-6
        assert abs(noise.mean()) < 0.01  # uniform, and clipped nowhere: 648 draws of deviation .058
        assert torch.equal(batch.wanted[:6], images)
        assert torch.equal(batch.wanted[6:], images if target == "clean" else batch.images[6:])
        alone = shown_by(Both(Attacker(network(PLAIN), None, CPU), noise=0.1, target=target), images, labels)
        assert torch.equal(alone.images - images, noise)
        assert torch.equal(alone.labels, labels)


@pytest.mark.usefixtures("one_thread")
def test_a_plain_network_learns_from_clean_and_attacked_images_in_two_passes(data, tmp_path):
    still = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    model, shown = network(PLAIN), []
    oracle = placed(copy.deepcopy(model), torch.device("cpu")).train()
    plan = planned(model, recipe(iterations=2), name="cross-entropy", attack=PGD.model_dump())
    train(model, still, recorded(plan, shown), tmp_path)
    optimiser = torch.optim.Adam(oracle.parameters(), lr=0.01)
    for _, batch in shown:
        clean, attacked = batch.images.split(SEEN)
        labels = batch.labels[:SEEN]
        losses = [functional.cross_entropy(oracle(images), labels) for images in (clean, attacked)]
        optimiser.zero_grad()
        (sum(losses) / 2).backward()
        optimiser.step()
    for key, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, rtol=1e-4, atol=1e-4), key  # variances reach thousands


def test_the_entries_that_the_docs_show_are_valid():
    page = (Path(__file__).parents[2] / "docs/fpd.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    entries = {name: RobustModel.model_validate(entry) for name, entry in yaml.safe_load(shown).items()}
    assert list(entries) == ["letters-plain", "letters-fpd", "letters-fpd-pgd"]
    before, after = entries["letters-fpd"], entries["letters-fpd-pgd"]
    assert (after.source.start, after.body, after.normalisation) == ("letters-fpd", before.body, before.normalisation)


# the stage


FILES = {"card.json", "weights.safetensors", "history.parquet"}


def stage(data: Path, out: Path, *, body=FPD, start: Path | None = None, seconds=60.0, threshold=1.0, **changes):
    settings = {"iterations": 6, "validate_every": 2, "batch_size": 8}
    train_robust.run(
        inputs=train_robust.Inputs(
            **toy.files_of(data),
            start_card=[start / "card.json"] if start else [],
            start_weights=[start / "weights.safetensors"] if start else [],
        ),
        outputs=toy.model_files(out),
        body=body,
        normalisation=UNITS,
        objective=objective(threshold=threshold) if body.name.startswith("fpd") else objective("cross-entropy"),
        training=recipe(**{**settings, **changes}),
        judge=None,
        augmentation=toy.MOVING,
        seed=4,
        code="code",
        checkpoint_seconds=seconds,
    )


@pytest.mark.parametrize("body", [FPD, PLAIN])
def test_without_a_judge_clean_validation_chooses_and_the_card_tells(data, tmp_path, body):
    for name in ("a", "b"):
        stage(data, tmp_path / name, body=body)
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in FILES)
    card = read_card(tmp_path / "a" / "card.json")
    rows = read_table(tmp_path / "a" / "history.parquet").to_pylist()
    best = max(row[CLEAN] for row in rows)
    kept = next(row for row in rows if row[CLEAN] == best)
    assert (card["judge"], card["start"], card[CLEAN], card["kept_iteration"]) == (None, None, best, kept["iteration"])
    if body is FPD:
        assert card["gated_steps"] == sum(row["gated_steps"] for row in rows)


def test_a_training_that_mostly_ends_at_the_gate_says_so(data, tmp_path, caplog):
    stage(data, tmp_path / "held", threshold=1e-9, iterations=2)
    assert "2 of 2 iterations ended at the gate" in caplog.text
    caplog.clear()
    stage(data, tmp_path / "open", threshold=1e9, iterations=2)
    assert "gate" not in caplog.text
    assert [read_card(tmp_path / name / "card.json")["gated_steps"] for name in ("held", "open")] == [2, 0]


def test_test_images_have_no_say(tmp_path):
    """docs/definitions.md#f5: schedule and early stop looked at the test images."""
    settings = {"schedule": "plateau", "plateau_patience": 0, "patience": 2}
    stage(toy.write_data(tmp_path / "data"), tmp_path / "with", **settings)
    for path in (tmp_path / "data" / "test").iterdir():
        path.unlink()
    stage(tmp_path / "data", tmp_path / "without", **settings)
    assert all((tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes() for file in FILES)


def test_a_training_starts_from_another_models_weights(data, tmp_path):
    stage(data, tmp_path / "start")
    stage(data, tmp_path / "next", start=tmp_path / "start", learning_rate=1e-30)
    first, second = (read_card(tmp_path / name / "card.json") for name in ("start", "next"))
    assert second["start"] == first["files"]["weights.safetensors"]["sha256"]
    before, after = (load_file(tmp_path / name / "weights.safetensors") for name in ("start", "next"))
    parameters = dict(network().named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in parameters)  # a step of nothing


def test_a_start_of_another_body_is_refused(data, tmp_path):
    stage(data, tmp_path / "start", body=PLAIN)
    with pytest.raises(ConfigError, match="to start from is a elu-resnet18"):
        stage(data, tmp_path / "next", start=tmp_path / "start")
    assert not (tmp_path / "next").exists() or not list((tmp_path / "next").iterdir())


@pytest.mark.parametrize(
    ("name", "settings", "passes"),
    [
        ("cross-entropy", {}, 3),  # forward, and the two gradients
        ("cross-entropy", {"attack": PGD.model_dump()}, 2 * 3 + 2 * 3),  # clean and attacked; three steps of an attack
        ("fpd", {}, 2 * 3),  # two phases
        ("fpd", {"attack": PGD.model_dump()}, 3 * 3 + 2 * 3),
    ],
)
def test_an_estimate_counts_how_often_an_iteration_looks_at_an_image(name, settings, passes):
    cost = Cost(macs=1, activations=1, parameters=1, features=1, convolutions=1)
    source = RobustTrained(kind="trained", objective=objective(name, **settings), training=recipe(), judge=None)
    load = robust_load(source, cost, validation=10)
    assert load.passes == passes * 4 * SEEN + 4 * 10  # and four validations


@pytest.mark.faults
def test_a_killed_training_of_fpd_continues_to_the_same_bytes(data, tmp_path):
    settings = {"iterations": 12, "schedule": "plateau", "plateau_patience": 1, "patience": 5}
    hurt, calm = tmp_path / "hurt", tmp_path / "calm"
    call = f"stage(Path({str(data)!r}), Path({str(hurt)!r}), seconds=1e-9, **{settings})"
    killed(f"from tests.unit.test_fpd_training import stage\n{call}", iteration=7)
    assert torch.load(hurt / NAME, weights_only=True)["content"]["iteration"] == 7
    assert not (hurt / "weights.safetensors").exists()
    stage(data, hurt, **settings)
    stage(data, calm, **settings)
    assert {path.name for path in hurt.iterdir()} == FILES
    assert all((hurt / file).read_bytes() == (calm / file).read_bytes() for file in FILES)
