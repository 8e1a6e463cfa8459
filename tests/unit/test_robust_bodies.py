"""Networks of the robustness literature, against a forward pass of our own, and the files in which they go around."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body, Normalisation
from heirloom.models.bodies.wide_resnet.network import read
from heirloom.models.body import build_body
from heirloom.models.classifier import Classifier, state_copy
from heirloom.models.weights import load_state, part_of_state, read_foreign
from heirloom.runtime.errors import ConfigError, WeightsError
from tests.unit.hostile import read_here

NARROW = {
    "cifar-resnet18": Body(name="cifar-resnet18", options={"width": 4}),
    "cifar-resnet34": Body(name="cifar-resnet34", options={"width": 4}),
    "wide-resnet": Body(name="wide-resnet", options={"depth": 16, "width": 2}),
    "wide-resnet as narrow as its stem": Body(name="wide-resnet", options={"depth": 10, "width": 1}),
}
CIFAR = Normalisation(mean=(0.4914, 0.4822, 0.4465), std=(0.2471, 0.2435, 0.2616))


class Plain:
    """The two networks written down once more, layer by layer, from a state dict alone."""

    def __init__(self, state):
        self.state = state

    def conv(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    def norm(self, x, name):
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def blocks(self, stage):
        return sum(name.startswith(f"{stage}.") and name.endswith(".conv2.weight") for name in self.state)

    def head(self, x, name, side):
        cell = x.shape[2] // side
        x = x.unflatten(2, (side, cell)).unflatten(4, (side, cell)).mean(dim=(3, 5)).flatten(1)
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def resnet(self, x, side=1):
        x = self.norm(self.conv(x, "conv1"), "bn1").relu()
        for stage in range(1, 5):
            for block in range(self.blocks(f"layer{stage}")):
                name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                y = self.norm(self.conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
                y = self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
                if f"{name}.shortcut.0.weight" in self.state:
                    x = self.norm(self.conv(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
                x = (x + y).relu()
        return self.head(x, "linear", side)

    def wide(self, x, side=1):
        x = self.conv(x, "conv1")
        for stage in range(1, 4):
            for block in range(self.blocks(f"block{stage}")):
                name, stride = f"block{stage}.layer.{block}", 2 if stage > 1 and block == 0 else 1
                y = self.norm(x, f"{name}.bn1").relu()
                if f"{name}.convShortcut.weight" in self.state:
                    x = self.conv(y, f"{name}.convShortcut", stride)
                y = self.norm(self.conv(y, f"{name}.conv1", stride), f"{name}.bn2").relu()
                x = x + self.conv(y, f"{name}.conv2")
        return self.head(self.norm(x, "bn1").relu(), "fc", side)


def network(body, *, classes=5, seed=0):
    """A body whose batch-norm layers all do something, each something else."""
    torch.manual_seed(seed)
    built = build_body(body, classes=classes)
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return built.eval()


@pytest.mark.parametrize("side", [28, 32, 64])
@pytest.mark.parametrize("name", NARROW)
def test_a_body_computes_what_its_layers_say_at_every_size(name, side):
    body = NARROW[name]
    built = network(body)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    oracle = Plain(built.state_dict())
    with torch.no_grad():
        expected = (oracle.wide if name.startswith("wide") else oracle.resnet)(images)
        assert torch.allclose(built(images), expected, atol=1e-4)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("name", ["cifar-resnet18", "wide-resnet"])
def test_a_head_may_see_a_grid_as_published_networks_do_on_64_pixels(name):
    body = NARROW[name].model_copy(update={"options": {**NARROW[name].options, "pooled_side": 2}})
    built = network(body)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    oracle = Plain(built.state_dict())
    with torch.no_grad():
        expected = (oracle.wide if name == "wide-resnet" else oracle.resnet)(images, side=2)
        assert torch.allclose(built(images), expected, atol=1e-4)
        with pytest.raises(ConfigError, match="cannot be cut into 2"):
            built(images[:, :, :36, :36])


# The literature's counts: 11.17 M and 21.28 M (CIFAR ResNets), 46.16 M (WRN-34-10), 36.48 M (WRN-28-10), 2.75 M (16-4).
@pytest.mark.parametrize(
    ("body", "count"),
    [
        (Body(name="cifar-resnet18"), 11_173_962),
        (Body(name="cifar-resnet34"), 21_282_122),
        (Body(name="wide-resnet"), 46_160_474),
        (Body(name="wide-resnet", options={"depth": 28}), 36_479_194),
        (Body(name="wide-resnet", options={"depth": 16, "width": 4}), 2_748_890),
    ],
)
def test_a_body_has_as_many_weights_as_the_literature_says(body, count):
    with torch.device("meta"):
        built = build_body(body, classes=10)
    assert sum(weight.numel() for weight in built.parameters()) == count


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("cifar-resnet18", ["layer2.1.conv2", "layer3.1.conv2", "layer4.0.shortcut.0", "linear"]),
        ("cifar-resnet34", ["layer2.3.conv2", "layer3.5.conv2"]),
        ("wide-resnet", ["block1.layer.3.conv2", "block1.layer.2.conv2", "block2.layer.0.convShortcut", "fc"]),
    ],
)
def test_published_modules_are_found_by_their_names(name, modules):
    with torch.device("meta"):
        model = Classifier(Body(name=name), CIFAR, classes=10).eval()
    for module in modules:
        assert isinstance(model.body.get_submodule(module), nn.Conv2d | nn.Linear)


@pytest.mark.parametrize("name", NARROW)
def test_stages_and_features_are_what_the_registry_says(name):
    model = Classifier(NARROW[name], CIFAR, classes=5)
    model.body.load_state_dict(network(NARROW[name]).state_dict())
    model.eval()
    images = torch.rand(2, 3, 32, 32)
    stages = model.stages(images)
    assert [stage.shape[2] for stage in stages] == [32, 16, 8, 4][: len(stages)]
    with torch.no_grad():
        assert torch.allclose(model.head(model.features(images)), model(images), atol=1e-5)


def test_a_depth_that_no_wide_resnet_has_is_refused():
    with pytest.raises(ConfigError, match="6 n \\+ 4"):
        build_body(Body(name="wide-resnet", options={"depth": 32}), classes=10)
    with pytest.raises(ConfigError, match="4 layers"):
        build_body(Body(name="wide-resnet", options={"depth": 4}), classes=10)


# other people's files


def mean_and_std():
    return torch.tensor(CIFAR.mean).view(1, 3, 1, 1), torch.tensor(CIFAR.std).view(1, 3, 1, 1)


def behind_normalisation(layer, body, *, names=("mean", "std")):
    """A state as nn.Sequential(normalisation, network) and wrappers like it save one."""
    return lambda state: {
        **{f"{layer}{name}": value for name, value in zip(names, mean_and_std(), strict=True)},
        **{f"{body}{name}": value for name, value in state.items()},
    }


FORMS = {
    "plain": dict,
    "data parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "net": lambda state: {"net": state, "acc": 53.6, "epoch": 104},
    "state_dict": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}},
    "sequential": behind_normalisation("0.", "1."),
    "sequential, data parallel": behind_normalisation("module.0.", "module.1."),
    "named layers": behind_normalisation("normalize.", "model."),
    "buffers beside": behind_normalisation("", "", names=("mu", "sigma")),
    "a library's normaliser": behind_normalisation("normalizer.", "model.", names=("new_mean", "new_std")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["cifar-resnet18", "wide-resnet"])
def test_every_usual_form_of_a_public_checkpoint_loads(tmp_path, monkeypatch, form, name):
    monkeypatch.setattr("heirloom.models.weights.read_state", read_here)
    source, target = network(NARROW[name]), network(NARROW[name], seed=1)
    path = tmp_path / "robust.pt"
    torch.save(FORMS[form](source.state_dict()), path)
    load_state(target, part_of_state(read_foreign(path), target, CIFAR, where="x"), where="x")
    mine, theirs = target.state_dict(), source.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_numbers_of_a_normalisation_that_papers_round_differently_are_the_same():
    source = network(NARROW["cifar-resnet18"])
    mean, std = torch.tensor([0.49139968, 0.48215841, 0.44653091]), torch.tensor([0.24703233, 0.24348505, 0.26158768])
    state = {"0.mean": mean, "0.std": std, **{f"1.{name}": value for name, value in source.state_dict().items()}}
    assert part_of_state(state, source, CIFAR, where="x").keys() == source.state_dict().keys()


def test_a_file_that_normalises_otherwise_is_refused_with_both():
    source = network(NARROW["cifar-resnet18"])
    state = FORMS["sequential"](source.state_dict())
    with pytest.raises(WeightsError, match=r"0\.mean = 0\.4914, 0\.4822, 0\.4465, not by 0\.4850") as caught:
        part_of_state(state, source, Normalisation(), where="robust.pt")
    assert "set the model's normalisation" in caught.value.mend
    # the deviation of an image's mean, which older scripts took for that of its pixels
    wrong = {**state, "0.std": torch.tensor([0.2023, 0.1994, 0.2010])}
    with pytest.raises(WeightsError, match=r"0\.std = 0\.2023"):
        part_of_state(wrong, source, CIFAR, where="robust.pt")


def test_what_belongs_to_neither_network_nor_normalisation_is_named():
    source = network(NARROW["cifar-resnet18"])
    state = {**FORMS["sequential"](source.state_dict()), "2.weight": torch.ones(3)}
    del state["1.layer2.1.conv2.weight"]
    found = part_of_state(state, source, CIFAR, where="robust.pt")
    with pytest.raises(WeightsError, match=r"missing: layer2\.1\.conv2\.weight; unexpected: 2\.weight"):
        load_state(source, found, where="robust.pt")


def test_two_networks_in_one_file_are_not_mixed():
    source = network(NARROW["cifar-resnet18"])
    state = FORMS["sequential"](source.state_dict())
    state["conv1.weight"] = torch.zeros_like(state["1.conv1.weight"])
    with pytest.raises(WeightsError, match=r"unexpected: conv1\.weight \(beside 1\.conv1\.weight\)"):
        load_state(source, part_of_state(state, source, CIFAR, where="x"), where="x")


def test_the_stage_that_published_wide_networks_never_run_is_left_out(tmp_path):
    source = network(NARROW["wide-resnet"])
    state = source.state_dict()
    never = {name.replace("block1.", "sub_block1."): value for name, value in state.items() if "block1." in name}
    torch.save({f"module.{name}": value for name, value in (state | never).items()}, tmp_path / "wrn.pt")
    assert read(tmp_path / "wrn.pt").keys() == state.keys()
    with pytest.raises(WeightsError, match="unexpected: sub_block1"):
        load_state(source, read_foreign(tmp_path / "wrn.pt"), where="wrn.pt")
    assert BODIES.member("wide-resnet").reader == "heirloom.models.bodies.wide_resnet.network:read"


def test_a_state_that_is_taken_apart_stays_as_it_was():
    source = network(NARROW["cifar-resnet18"])
    state = FORMS["sequential"](state_copy(source))
    names = list(state)
    part_of_state(state, source, CIFAR, where="x")
    assert list(state) == names
