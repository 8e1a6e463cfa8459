"""Every kind of attack on a model itself, and every entry of the catalogue."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.nn import functional

from heirloom.attacks.compat import advertorch_attacks
from heirloom.attacks.losses import cross_entropy, margin
from heirloom.attacks.pgd import GEOMETRIES
from heirloom.attacks.search import Crafting, SearchBatch, near, sizes
from heirloom.config.attacks import OnModel
from heirloom.config.kinds import ATTACKS
from heirloom.config.load import load_catalogue, parse, read_yaml
from heirloom.config.models import Body
from heirloom.config.study import Catalogue, WhiteBox
from heirloom.models.classifier import Classifier, seeded
from heirloom.runtime.errors import ConfigError
from tests.unit import attacked, toy

CATALOGUE = Path(__file__).resolve().parents[2] / "config" / "attacks.yaml"
IMAGES = 6
ROUNDING = 2e-6  # relative, of a norm summed in float32
_MODEL = TypeAdapter(WhiteBox)


def an(kind, **settings):
    """An attack's settings."""
    return _MODEL.validate_python({"kind": kind, **settings})


DRAWN = {
    "pgd in L2": an("pgd", norm="L2", epsilon=1, step=0.25, steps=8),
    "pgd up the margin": an("pgd", epsilon=0.06, step=0.015, steps=8, loss="margin"),
    "square": an("square", epsilon=0.12, queries=60),
    "square in L2": an("square", norm="L2", epsilon=3, queries=60),
    "autoattack in L2": an("autoattack", norm="L2", epsilon=1),
    "jsma": an("jsma", epsilon=0.2),
    "hopskipjump": an("hopskipjump", epsilon=3, steps=5, evaluations=50, first_evaluations=20),
    "hopskipjump in Linf": an("hopskipjump", norm="Linf", epsilon=0.3, steps=5, evaluations=50, first_evaluations=20),
    "zoo": an("zoo", epsilon=5, steps=6, constant=100, learning_rate=0.1, resize=False),
}
FIXED = {
    "fgsm": an("pgd", epsilon=0.06, step=0.06, steps=1, start="clean"),
    "fgsm in L2": an("pgd", norm="L2", epsilon=1, step=1, steps=1, start="clean"),
    "fgsm in L1": an("pgd", norm="L1", epsilon=20, step=20, steps=1, start="clean"),
    "bim": an("pgd", epsilon=0.06, step=0.015, steps=8, start="clean"),
    "carlini-wagner": an("carlini-wagner", epsilon=1.5, steps=15, searches=2, constant=1, learning_rate=0.05),
    "carlini-wagner in Linf": an("carlini-wagner", norm="Linf", epsilon=0.06, steps=15, learning_rate=0.1),
    "deepfool": an("deepfool", epsilon=1, steps=10),
    "deepfool of some classes": an("deepfool", epsilon=1, steps=10, candidates=3),
}
KINDS = DRAWN | FIXED


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A network and test images that it gets right."""
    folder = tmp_path_factory.mktemp("attacks")
    model = attacked.loaded(attacked.train(folder))
    with attacked.one_thread():
        yield model, toy.opened(folder / "data", "test").take(np.arange(IMAGES))


@pytest.fixture(scope="module")
def crafted(net):
    """What each attack makes of the images, made once."""
    made = {}

    def make(name):
        if name not in made:
            with pytest.MonkeyPatch.context() as patch:
                attacked.hasten(patch)
                made[name] = shown(KINDS[name], *net)
        return made[name]

    return make


@pytest.fixture
def hasty(monkeypatch):
    attacked.hasten(monkeypatch)


def shown(attack, model, part, rows=None):
    rows = np.arange(len(part)) if rows is None else rows
    images, _ = attacked.batch(part)
    return ATTACKS.load(attack.kind).attack(attack.kind, attack, part).shown_to(model)(images[rows], rows)


def right(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


@pytest.mark.parametrize("name", KINDS)
def test_attacked_images_lie_in_the_ball_of_the_attacks_norm_and_in_zero_and_one(net, crafted, name):
    attack, found = KINDS[name], crafted(name)
    images, _ = attacked.batch(net[1])
    assert sizes(found - images, getattr(attack, "norm", "Linf")).max() <= attack.epsilon * (1 + ROUNDING) + ROUNDING
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.dtype == torch.float32


@pytest.mark.parametrize("name", KINDS)
def test_an_attack_lowers_accuracy(net, crafted, name):
    model, part = net
    images, labels = attacked.batch(part)
    assert right(model, images, labels) == 1
    assert right(model, crafted(name), labels) <= 2 / 3


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", KINDS)
def test_an_attack_repeats_itself_and_leaves_model_and_generators_as_they_were(net, crafted, name):
    model, part = net
    expected = crafted(name)
    model = copy.deepcopy(model).train()
    model.body.layer1.eval()
    model.body.conv1.weight.requires_grad_(False)
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - ART draws from it
    for number, parameter in enumerate(model.parameters()):
        parameter.grad = None if number == 0 else torch.full_like(parameter, number)
    before = _flags(model), torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert torch.equal(shown(KINDS[name], model, part), expected)
    assert _flags(model) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def _flags(model):
    """Modes, whether parameters take gradients, and those they have."""
    gradients = [None if each.grad is None else each.grad.mean().item() for each in model.parameters()]
    trained = [each.requires_grad for each in model.parameters()]
    return [module.training for module in model.modules()], trained, gradients


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", DRAWN)
def test_another_seed_gives_other_images(net, crafted, name):
    assert not torch.equal(shown(KINDS[name].model_copy(update={"seed": 1}), *net), crafted(name))


@pytest.mark.parametrize("name", ["pgd in L2", "jsma", "hopskipjump", "zoo", "carlini-wagner", "deepfool"])
def test_an_image_is_attacked_alike_in_whatever_batch_it_comes(net, crafted, name):
    rows = np.array([4, 1])
    # sums over other batch sizes round differently
    assert torch.allclose(shown(KINDS[name], *net, rows), crafted(name)[rows], atol=1e-4)


@pytest.mark.parametrize("name", ["bim", "deepfool", "square"])
def test_an_image_that_is_wrong_when_clean_is_shown_as_it_is(net, name):
    model, part = net
    images, labels = attacked.batch(part)
    labels[::2] = (labels[::2] + 1) % attacked.CLASSES
    crafting = ATTACKS.load(KINDS[name].kind).attack(name, KINDS[name], part).shown_to(model)
    found = replace(crafting, labels=labels.numpy())(images, np.arange(IMAGES))
    unchanged = (found == images).flatten(1).all(dim=1)
    assert unchanged[::2].all()
    assert not unchanged.all()


def test_a_smallest_change_beyond_epsilon_does_not_count_and_without_epsilon_any_does(net, crafted):
    model, part = net
    images, _ = attacked.batch(part)
    attack, found = KINDS["deepfool"], crafted("deepfool")
    size = sizes(found - images, "L2")
    middle = size.median().item()
    some = shown(attack.model_copy(update={"epsilon": middle}), model, part)
    assert torch.equal(some, torch.where((size <= middle).view(-1, 1, 1, 1), found, images))
    assert torch.equal(shown(attack.model_copy(update={"epsilon": None}), model, part), found)


def test_what_is_no_number_is_never_near():
    clean = torch.zeros(2, 3, 2, 2)
    found = clean.clone()
    found[0] = torch.nan
    assert torch.equal(near(clean, found, norm="L2", epsilon=1.0), clean)


def test_sizes_are_the_norms():
    change = torch.zeros(1, 3, 2, 2)
    change[0, 0, 0] = torch.tensor([3.0, -4.0])
    found = {norm: sizes(change, norm).item() for norm in ("L0", "L1", "L2", "Linf")}
    assert found == {"L0": pytest.approx(2 / 12), "L1": 7, "L2": 5, "Linf": 4}


# -- against other implementations -------------------------------------------------------------------------------------


def _oracle(net, name, **settings):
    model, part = net
    method = getattr(advertorch_attacks(), name)(copy.deepcopy(model), clip_min=0.0, clip_max=1.0, **settings)
    images, labels = attacked.batch(part)
    return method.perturb(images.contiguous(), labels)  # its norms take a view()


def test_fgsm_and_bim_equal_advertorch_to_the_bit(net, crafted):
    assert torch.equal(crafted("fgsm"), _oracle(net, "GradientSignAttack", eps=0.06))
    settings = {"eps": 0.06, "eps_iter": 0.015, "nb_iter": 8}
    assert torch.equal(crafted("bim"), _oracle(net, "LinfBasicIterativeAttack", **settings))


def _from_the_image(model, images, labels, *, norm, epsilon, step, steps):
    """FGSM and BIM as their papers have them, one line after the other."""
    change = torch.zeros_like(images)
    for _ in range(steps):
        leaf = (images + change).requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model(leaf), labels, reduction="sum"), leaf)
        if norm == "Linf":
            change = (change + step * gradient.sign()).clamp(-epsilon, epsilon)
            change = (images + change).clamp(0, 1) - images
            continue
        order = int(norm[1])
        gradient = gradient / gradient.abs().amax(dim=(1, 2, 3), keepdim=True)
        length = torch.linalg.vector_norm(gradient.flatten(1), ord=order, dim=1).view(-1, 1, 1, 1)
        change = (images + (change + gradient * (step / length))).clamp(0, 1) - images
        length = torch.linalg.vector_norm(change.flatten(1), ord=order, dim=1).view(-1, 1, 1, 1)
        change = change * (epsilon / length.clamp(min=epsilon))
    return (images + change).clamp(0, 1)


@pytest.mark.parametrize("name", ["fgsm", "fgsm in L2", "fgsm in L1", "bim"])
def test_pgd_from_the_clean_image_is_fgsm_and_bim_to_the_bit(net, crafted, name):
    model, part = net
    settings = KINDS[name].model_dump(include={"norm", "epsilon", "step", "steps"})
    assert torch.equal(crafted(name), _from_the_image(model, *attacked.batch(part), **settings))


def test_fgsm_and_pgd_in_l2_equal_advertorch(net, crafted):
    assert torch.allclose(crafted("fgsm in L2"), _oracle(net, "GradientAttack", eps=1.0), atol=1e-6)
    attack = an("pgd", norm="L2", epsilon=0.7, step=0.2, steps=10, start="clean")
    expected = _oracle(net, "L2BasicIterativeAttack", eps=0.7, eps_iter=0.2, nb_iter=10)
    # measured: 3e-6; advertorch divides by the norm plus 1e-6
    assert torch.allclose(shown(attack, *net), expected, atol=2e-5)


def test_fgsm_in_l1_moves_along_the_gradient_itself(net, crafted):
    model, part = net
    images, labels = attacked.batch(part)
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(leaf), labels, reduction="sum"), leaf)
    expected = images + 20 * gradient / gradient.abs().sum(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(crafted("fgsm in L1"), expected.clamp(0, 1), atol=1e-5)


def test_carlini_wagner_in_linf_finds_the_corner_from_black_and_white_pixels_where_tanh_is_flat():
    attack = KINDS["carlini-wagner in Linf"].model_copy(update={"epsilon": 0.2, "steps": 100, "confidence": 1e9})
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(4, 3, 8, 8, generator=generator) > 0.5).float()
    weights = 1e-3 * torch.randn(3 * 8 * 8, 2, generator=generator)  # small gradients, too
    labels = torch.zeros(4, dtype=torch.int64)

    def source(points):
        return points.flatten(1) @ weights

    found = ATTACKS.load("carlini-wagner").attack("cw", attack, toy_part(labels)).shown_to(toy.classifier())
    assert isinstance(found, Crafting)
    attacked_images = found.search(source, SearchBatch(images, labels, np.arange(4)))
    uphill = (weights[:, 1] - weights[:, 0]).sign().view(3, 8, 8)
    best = (images + 0.2 * uphill).clamp(0, 1)
    reached, clean, most = (margin(source(each), labels) for each in (attacked_images, images, best))
    # measured: 0.997; from 0.999999 of the way to the border 1e-6
    assert ((reached - clean) / (most - clean)).min() > 0.9


def test_the_losses_are_the_formulas():
    logits, labels = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 4.0]]), torch.tensor([0, 1])
    assert margin(logits, labels).tolist() == [0.5 - 2.0, 4.0 - 3.0]
    assert torch.equal(cross_entropy(logits, labels), functional.cross_entropy(logits, labels, reduction="none"))


@pytest.mark.parametrize("norm", ["L2", "L1"])
def test_a_step_of_a_ball_has_its_length_however_small_the_gradient_and_none_without_one(norm):
    geometry = GEOMETRIES[norm](epsilon=1.0, step=0.5, clip=(0.0, 1.0))
    gradient = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    moved = geometry.move(gradient)
    assert torch.allclose(sizes(moved, norm), torch.full((4,), 0.5))
    assert torch.allclose(geometry.move(gradient * 1e-36), moved, atol=1e-6)
    assert geometry.move(torch.zeros_like(gradient)).abs().max() == 0


def test_a_projection_to_a_ball_is_inside_and_the_nearest_in_l2():
    geometry = GEOMETRIES["L2"](epsilon=1.0, step=0.5, clip=(-10.0, 10.0))
    change = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    change[0] /= 100
    found = geometry.project(change, torch.zeros_like(change))
    assert torch.equal(found[0], change[0])
    assert torch.allclose(found[1:], functional.normalize(change[1:].flatten(1), dim=1).view_as(change[1:]), atol=1e-6)


# -- what an attack is crafted on --------------------------------------------------------------------------------------


@pytest.fixture
def saturated():
    """An FPD network whose logits are so large that tanh gives exactly 1 and -1, without a gradient."""
    body = Body(name="fpd-resnet18", options={"width": 4, "lateral": 4})
    with seeded(0):
        model = Classifier(body, toy.classifier().normalisation, classes=3).eval()
    with torch.no_grad():
        model.head.weight.mul_(1e6)
        model.head.bias.copy_(torch.tensor([0.0, 5e3, -5e3]))
    return model


@pytest.mark.parametrize(("through", "moves"), [("model", False), ("raw", True), ("straight-through", True)])
def test_raw_logits_have_a_gradient_where_tanh_has_none_and_the_answers_stay_the_models(saturated, through, moves):
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = saturated(images)
    assert set(answers.abs().flatten().tolist()) == {1.0}
    attack = an("pgd", epsilon=0.03, step=0.01, steps=2, start="clean", loss="margin", through=through)
    part = toy_part(answers.argmax(1))
    crafting = ATTACKS.load("pgd").attack("pgd", attack, part).shown_to(saturated)
    assert isinstance(crafting, Crafting)
    found = crafting(images, np.arange(3))
    assert (not torch.equal(found, images)) == moves
    assert crafting.model is saturated
    assert saturated.body.bounded
    with torch.no_grad():
        assert torch.equal(saturated(images), answers)
        assert torch.equal(crafting.source(images), answers) == (not moves)


class toy_part:  # noqa: N801 - stands in for a part, of which an attack asks for the labels alone
    def __init__(self, labels):
        self.labels = labels.numpy()


def test_a_plain_network_is_attacked_as_it_is(net, crafted):
    for through in ("raw", "straight-through"):
        attack = KINDS["bim"].model_copy(update={"through": through})
        assert torch.equal(shown(attack, *net), crafted("bim"))


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_a_budget_names_norm_and_library_and_says_through_what_only_where_that_is_not_the_model(net):
    def budget(attack):
        return json.loads(ATTACKS.load(attack.kind).attack("name", attack, net[1]).budget)

    plain = budget(an("pgd", epsilon=0.1, step=0.1))
    assert (plain["norm"], plain["library"]) == ("Linf", "heirloom")
    assert not plain.keys() & {"through", "loss", "start", "version"}
    adaptive = budget(an("pgd", norm="L2", epsilon=0.1, step=0.1, through="raw", loss="margin", start="clean"))
    assert [adaptive[key] for key in ("norm", "through", "loss", "start")] == ["L2", "raw", "margin", "clean"]
    art = budget(KINDS["deepfool"])
    assert art["library"] == "adversarial-robustness-toolbox"
    assert art["version"].startswith("1.20")
    assert "epsilon" not in budget(KINDS["deepfool"].model_copy(update={"epsilon": None}))
    assert budget(KINDS["carlini-wagner"])["library"] == "advertorch"
    assert budget(KINDS["carlini-wagner in Linf"])["library"] == "heirloom"
    assert budget(KINDS["square"])["library"] == "pyautoattack"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "pgd", "epsilon": 1, "step": 1, "start": "clean", "restarts": 2}, "nothing to draw"),
        ({"kind": "carlini-wagner", "epsilon": 1}, "give searches and constant"),
        ({"kind": "carlini-wagner", "norm": "Linf", "epsilon": None}, "stays within epsilon"),
        ({"kind": "carlini-wagner", "norm": "Linf", "epsilon": 1, "searches": 3}, "stays within epsilon"),
        ({"kind": "deepfool"}, "Field required"),
        ({"kind": "deepfool", "epsilon": 0}, "greater than 0"),
        ({"kind": "hopskipjump", "epsilon": 1, "evaluations": 50}, "at most evaluations"),
        ({"kind": "square", "epsilon": 1, "units": "normalised", "clip": [-1, 1]}, "counts in pixels"),
        ({"kind": "pgd", "epsilon": 1, "step": 1, "norm": "L0"}, "'Linf', 'L2' or 'L1'"),
        ({"kind": "pgd", "epsilon": 1, "step": 1, "norm": "L1"}, "steps: 1 and start: clean"),
        ({"kind": "pgd", "epsilon": 1, "step": 1, "norm": "L1", "start": "clean", "steps": 2}, "it takes one step"),
    ],
)
def test_settings_that_make_no_attack_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        an(**settings)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", [name for name in KINDS if "autoattack" not in name])
def test_a_model_looks_no_more_often_than_the_estimate_says(net, name):
    model, part = net
    model, seen = copy.deepcopy(model), []
    model.body.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    part = part.take(np.arange(1))
    shown(KINDS[name], model, part)
    looks = KINDS[name].looks()
    assert 1 < sum(seen) <= looks.gradients + looks.forwards + 4  # what libraries ask before and after


# -- the catalogue -----------------------------------------------------------------------------------------------------

ENTRIES = {
    name: entry
    for name, entry in parse(Catalogue, {"attacks": read_yaml(CATALOGUE)}, where="attacks").attacks.items()
    if isinstance(entry, OnModel)
}
REDUCED = {"steps": 2, "searches": 1, "queries": 10, "restarts": 1, "worst": None, "coordinates": 8, "starts": 3}
REDUCED |= {"evaluations": 10, "first_evaluations": 5}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_of_the_catalogue_runs(net, name):
    model, part = net
    attack = ENTRIES[name]
    assert attack.title
    smaller = {key: value for key, value in REDUCED.items() if hasattr(attack, key)}
    part = part.take(np.arange(2))
    found = shown(attack.model_copy(update=smaller), model, part)
    assert found.shape == (2, 3, 16, 16)
    assert found.isfinite().all()


def test_the_catalogue_has_every_kind():
    assert {entry["kind"] for entry in read_yaml(CATALOGUE).values()} == set(ATTACKS.names())


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ({"kind": "fgsm", "epsilon": 0.3}, "kind: pgd, start: clean, steps: 1, and a step as large as epsilon"),
        ({"kind": "bim", "epsilon": 0.3, "step": 0.1}, "kind: pgd, start: clean, and steps: 10"),
    ],
)
def test_a_former_kind_is_refused_with_what_to_write_in_its_place(tmp_path, former, now):
    (tmp_path / "attacks.yaml").write_text(json.dumps({"mine": former}))
    with pytest.raises(ConfigError, match=now) as refused:
        load_catalogue([tmp_path])
    assert "attacks.mine" in str(refused.value)


# -- libraries ---------------------------------------------------------------------------------------------------------


def test_importing_art_leaves_home_and_logging_alone(tmp_path):
    log = tmp_path / "log"
    code = f"""
import logging, os
logging.basicConfig(filename={str(log)!r}, filemode="w")
from heirloom.attacks.compat import art
assert art("attacks.evasion").DeepFool
logging.warning("still here")
assert os.environ["HOME"] == {str(tmp_path)!r}
"""
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "still here" in log.read_text()
    assert not (tmp_path / ".art").exists()


def test_no_library_is_imported_before_it_is_used():
    code = """
import sys
from heirloom.config.kinds import ATTACKS
assert all(map(ATTACKS.load, ATTACKS.names()))
sys.exit(bool({"art", "advertorch", "pyautoattack", "sklearn"} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arts_zoo_only_raises_values(net, crafted):
    """What algorithms/zoo.py says of ART: should a later one do better, say so there and in docs/fpd.md."""
    images, _ = attacked.batch(net[1])
    assert (crafted("zoo") - images).min() >= 0
