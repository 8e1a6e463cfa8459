import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body, Normalisation
from heirloom.models.classifier import Classifier, Normalise, conv_weights, randomise, state_copy
from heirloom.models.weights import architecture_facts, load_classifier, load_state, read_foreign, save_classifier
from heirloom.runtime.errors import ConfigError, DamagedFileError, WeightsError
from heirloom.runtime.files import write_card
from tests.unit.hostile import read_here
from tests.unit.toy import classifier

pytestmark = pytest.mark.usefixtures("quick_reader")

REAL = Path(__file__).parents[3] / "shared" / "real" / "mobilenet_v2-keras-int8-derived.pth"
IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def saved(folder: Path, model: Classifier) -> tuple[Path, Path]:
    weights, card = folder / "weights.safetensors", folder / "card.json"
    save_classifier(weights, model)
    write_card(card, kind="teacher", files={weights.name: weights}, **architecture_facts(model))
    return weights, card


def equal_states(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_normalisation_is_the_first_layer_and_is_saved():
    normalise = Normalise(Normalisation(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0)))
    white = normalise(torch.ones(1, 3, 2, 2))
    assert white[0, :, 0, 0].tolist() == [1.0, 3.0, 0.5]
    model = classifier().eval()
    assert {"normalise.mean", "normalise.std"} <= model.state_dict().keys()
    assert torch.equal(model(IMAGES), model.body(model.normalise(IMAGES)))


def test_planning_needs_no_torch():
    code = "import sys, heirloom.transfer.methods; from heirloom.config.kinds import BODIES;"
    code += " [BODIES.member(name) for name in BODIES.names()]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_small_bodies_need_no_torchvision():
    code = "import sys; from tests.unit import toy; toy.classifier(); sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_stages_of_a_torchvision_resnet_are_its_layers():
    model = Classifier(Body(name="resnet18"), Normalisation(), classes=5).eval()
    body = model.body
    with torch.no_grad():
        hidden = body.maxpool(body.relu(body.bn1(body.conv1(model.normalise(IMAGES)))))
        expected = []
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            hidden = layer(hidden)
            expected.append(hidden)
        stages, features = model.stages(IMAGES), model.features(IMAGES)
    assert len(stages) == 4
    assert all(torch.equal(one, other) for one, other in zip(stages, expected, strict=True))
    assert torch.equal(features, expected[-1].mean(dim=(2, 3)))


def test_stages_of_mobilenet_end_where_the_paper_cuts_and_its_features_have_no_dropout():
    model = Classifier(Body(name="mobilenet_v2"), Normalisation(), classes=5).eval()
    with torch.no_grad():
        inputs = model.normalise(IMAGES)
        expected = [model.body.features[:end](inputs) for end in (4, 7, 11, 17, 19)]
        assert all(torch.equal(one, other) for one, other in zip(model.stages(IMAGES), expected, strict=True))
        assert torch.equal(model.features(IMAGES), expected[-1].mean(dim=(2, 3)))
        model.train()  # its head drops a fifth of the features now
        assert torch.equal(model.features(IMAGES), model.features(IMAGES))
        assert not torch.equal(model(IMAGES), model(IMAGES))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_torchvision_bodys_logits_are_torchvisions_on_the_same_weights(name):
    from torchvision import models

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    ours = Classifier(Body(name=name), Normalisation(mean=mean, std=std), classes=5)
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    ours.train()(IMAGES)  # with the statistics of a random start MobileNet's logits would be 1e-10
    ours.eval()
    theirs = models.get_model(name, weights=None, num_classes=5).eval()
    theirs.load_state_dict(ours.body.state_dict(), strict=True)
    inputs = torch.stack([(IMAGES[:, place] - mean[place]) / std[place] for place in range(3)], dim=1)
    with torch.no_grad():
        expected = theirs(inputs)
        assert torch.allclose(ours(IMAGES), expected, atol=1e-5)
        assert torch.allclose(ours.head(ours.features(IMAGES)), expected, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.parametrize("name", [name for name in BODIES.names() if name.endswith("-small")])
def test_small_bodies_have_their_parts(name):
    model = classifier(body=Body(name=name, options={"width": 4})).eval()
    stages = model.stages(IMAGES)
    sides = [stage.shape[2] for stage in stages]
    assert sides == [32, 16, 8, 4][: len(stages)]
    assert [stage.shape[1] for stage in stages] == [4 * 2**index for index in range(len(stages))]
    assert torch.allclose(model.features(IMAGES), stages[-1].mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(model(IMAGES), model.head(model.features(IMAGES)), atol=1e-6)


def test_small_resnet18_is_torchvisions_network_with_another_stem():
    theirs = Classifier(Body(name="resnet18"), Normalisation(), classes=5).eval()
    ours = Classifier(Body(name="resnet18-small"), Normalisation(), classes=5).eval()
    for part in ("bn1", "layer1", "layer2", "layer3", "layer4", "fc"):  # strict: names and shapes agree
        getattr(ours.body, part).load_state_dict(getattr(theirs.body, part).state_dict())
    hidden = torch.rand(2, 64, 8, 8)
    for part in ("layer1", "layer2", "layer3", "layer4"):
        with torch.no_grad():
            assert torch.equal(getattr(ours.body, part)(hidden), getattr(theirs.body, part)(hidden))
        hidden = getattr(ours.body, part)(hidden)


def test_unknown_bodies_and_options_are_named():
    with pytest.raises(ConfigError, match="did you mean resnet8-small"):
        Classifier(Body(name="resnet8-smal"), Normalisation(), classes=2)
    with pytest.raises(ConfigError, match="no option depth"):
        Classifier(Body(name="resnet8-small", options={"depth": 2}), Normalisation(), classes=2)


def test_stage_dropout_drops_channels_after_the_tap_in_training_only():
    model = classifier()
    model.stage_dropout = 0.5
    torch.manual_seed(0)
    seen_by_next = []
    handle = model.body.layer2.register_forward_pre_hook(lambda _, inputs: seen_by_next.append(inputs[0]))
    before = model.stages(IMAGES)[0]
    whole = seen_by_next[0].flatten(2)
    dropped = (whole == 0).all(dim=2)
    assert dropped.any()
    assert not dropped.all()
    assert torch.equal(whole[~dropped], 2 * before.flatten(2)[~dropped])
    model.eval()
    assert torch.equal(model.stages(IMAGES)[0], seen_by_next[1])
    handle.remove()


def test_copies_share_nothing():
    model = classifier()
    twin, before = copy.deepcopy(model), state_copy(model)
    twin.stage_dropout = 0.9
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    twin(IMAGES)  # moves batch-norm statistics
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with twin.listening() as heard:
        model(IMAGES)
        assert heard == []  # the copy's hooks are the copy's own
        twin(IMAGES)
        assert len(heard) == 3
    with torch.no_grad():
        model.head.bias.add_(1)
    assert not torch.equal(before["body.fc.bias"], model.head.bias)


def test_random_start_is_torchs_own_and_seeded():
    model = classifier(seed=5)
    model(IMAGES)
    assert not equal_states(model, classifier(seed=5))  # statistics have moved
    torch.manual_seed(1)
    before = torch.get_rng_state()
    randomise(model, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert equal_states(model, classifier(seed=5))
    assert not equal_states(model, classifier(seed=6))
    weight = model.body.layer3[0].conv2.weight  # 16 channels of 3x3: bound sqrt(6 / ((1 + 5) * 144)) = 1 / 12
    assert 0.9 / 12 < weight.abs().max().item() <= 1 / 12


def test_a_fresh_head_depends_on_its_seed_alone():
    one, other = classifier(seed=1), classifier(seed=2)
    one.replace_head(7, seed=3)
    other.replace_head(7, seed=3)
    assert one.classes == 7
    assert torch.equal(one.head.weight, other.head.weight)
    assert one(IMAGES).shape == (3, 7)
    other.replace_head(7, seed=4)
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("name", BODIES.names())
def test_every_body_takes_a_head_for_other_classes(name):
    """docs/definitions.md#b11: a published script gave every teacher a head of 512 inputs."""
    with torch.device("meta"):
        model = Classifier(Body(name=name), Normalisation(), classes=10).eval()
        width = model.features(torch.empty(2, 3, 64, 64)).shape[1]
        model.replace_head(43, seed=1)
        assert (model.head.in_features, model.classes) == (width, 43)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 43)


def test_conv_weights_are_the_convolutions():
    model = classifier()
    weights = conv_weights(model)
    assert all(weight.ndim == 4 for weight in weights.values())
    assert len(weights) == 1 + 2 * 3 + 2  # stem, blocks, shortcuts
    assert weights["body.conv1.weight"] is model.body.conv1.weight


def test_saving_and_loading_gives_the_same_model_and_the_same_bytes(tmp_path):
    model = classifier(classes=4).to(memory_format=torch.channels_last)
    model(IMAGES)
    weights, card = saved(tmp_path / "a", model)
    again, _ = saved(tmp_path / "b", copy.deepcopy(model).to(memory_format=torch.contiguous_format))
    assert weights.read_bytes() == again.read_bytes()
    with safe_open(weights, "pt") as file:
        assert list(file.metadata()) == ["heirloom"]
    loaded = load_classifier(weights, card)
    assert not loaded.training
    assert equal_states(model, loaded)
    # in the same memory format: kernels of different ones may differ in the last digit
    assert torch.equal(loaded.to(memory_format=torch.channels_last)(IMAGES), copy.deepcopy(model).eval()(IMAGES))


def test_weights_that_are_not_the_cards_are_refused(tmp_path):
    weights, card = saved(tmp_path, classifier())
    save_classifier(weights, classifier(seed=1))
    with pytest.raises(DamagedFileError, match="delete it and run again"):
        load_classifier(weights, card)


def test_what_does_not_fit_is_listed():
    model = classifier()
    state = state_copy(classifier(classes=5))
    state["extra.weight"] = state.pop("body.layer1.0.conv1.weight")
    with pytest.raises(WeightsError) as caught:
        load_state(model, state, where="some file")
    text = str(caught.value)
    assert "missing: body.layer1.0.conv1.weight" in text
    assert "unexpected: extra.weight" in text
    assert "body.fc.weight (5, 16) instead of (3, 16)" in text
    assert "some file" in text
    state = state_copy(model)
    state["body.fc.bias"][0] = float("nan")
    with pytest.raises(WeightsError, match=r"not finite: body\.fc\.bias"):
        load_state(model, state, where="some file")


def test_old_files_without_batch_counters_load():
    model, other = classifier(), classifier(seed=1)
    model(IMAGES)  # counts a batch
    other(IMAGES)
    state = {name: value for name, value in state_copy(other).items() if "num_batches_tracked" not in name}
    load_state(model, state, where="old file")
    assert torch.equal(model.body.bn1.running_mean, other.body.bn1.running_mean)
    assert model.body.bn1.num_batches_tracked == 0


@pytest.mark.parametrize(
    "wrap", [dict, lambda state: {"epoch": 3, "state_dict": state}, lambda state: {"model": state}]
)
@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_foreign_files_are_unwrapped(tmp_path, monkeypatch, wrap, prefix):
    if prefix:  # the child tells nothing more
        monkeypatch.setattr("heirloom.models.weights.read_state", read_here)
    state = state_copy(classifier().body)
    torch.save(wrap({prefix + name: value for name, value in state.items()}), tmp_path / "weights.pth")
    found = read_foreign(tmp_path / "weights.pth")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harm-done"),)


def test_a_pickle_that_holds_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Harmful()}, tmp_path / "harm.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Harmful()))
    for name in ("harm.pth", "plain.pth"):
        with pytest.raises(WeightsError, match="could run code"):
            read_foreign(tmp_path / name)
    assert not (tmp_path / "harm-done").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "text.pth", "empty.pth"])
def test_unreadable_files_are_named(tmp_path, name):
    content = {"cut": b"PK\x03\x04 and then nothing", "text": b"<html>not found</html>", "empty": b""}
    (tmp_path / name).write_bytes(content[name.split(".")[0]])
    with pytest.raises(WeightsError, match=name):
        read_foreign(tmp_path / name)


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        read_foreign(tmp_path / "weights.pth")


@pytest.mark.skipif(not REAL.is_file(), reason="the real weights are not in ../shared/real")
def test_the_real_mobilenet_loads_strictly_and_sees():
    model = Classifier(Body(name="mobilenet_v2"), Normalisation(), classes=1000)
    state = read_foreign(REAL)
    load_state(model.body, state, where=str(REAL))
    model.body.load_state_dict(state, strict=True)
    logits = model.eval()(IMAGES)
    assert logits.shape == (3, 1000)
    assert logits.isfinite().all()
