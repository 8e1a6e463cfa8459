"""FPD and its plain twins, against torchvision and against the formulas of docs/fpd.md#the-network."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body, Normalisation
from heirloom.models.bodies.pyramid.network import (
    GramDenoising,
    PassNorm,
    attacked_through,
    gram_product,
    restoration_names,
)
from heirloom.models.body import build_body
from heirloom.models.classifier import Classifier, build_classifier, randomise, state_copy
from heirloom.models.weights import architecture_facts, load_classifier, load_state, part_of_state, save_classifier
from heirloom.runtime.errors import ConfigError, WeightsError
from heirloom.runtime.files import write_card
from heirloom.runtime.registry import resolve

pytestmark = pytest.mark.usefixtures("quick_reader")

NETWORKS = ("resnet18", "resnet50", "resnet101", "resnext50")
PLAIN = tuple(f"elu-{name}" for name in NETWORKS)
FPD = tuple(f"fpd-{name}" for name in NETWORKS)
SWITCHES = ("front_denoising", "back_denoising", "restoration", "bounded")
TERMS = ("front_stem", "front_layer1", "back_image", "back_stem", "back_layer1")


def narrow(name, **options):
    """A body whose channels tests can afford."""
    small = {"width": 4, "lateral": 8} if name in FPD else {"width": 4}
    return Body(name=name, options={**small, **options})


def classifier(name, *, classes=5, seed=0, share=None, **options):
    """A network in eval mode whose batch-norm layers all do something, each something else.

    `share`: the scale of its Gram terms, if not its own.
    """
    model = build_classifier(narrow(name, **options), Normalisation(), classes=classes, seed=seed)
    if share is not None:
        rescale(model, share)
    return stirred(model, seed)


def rescale(model, share):
    for name, buffer in model.named_buffers():
        if name.endswith(".share"):
            buffer.fill_(share)


def stirred(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.momentum = None  # by what passes saw: with the statistics of a start values grow by the block
        model.train()(pictures(32, 8, seed=2))
    return model.eval()


def pictures(side, count=2, *, width=None, seed=1):
    return torch.rand(count, 3, side, width or side, generator=torch.Generator().manual_seed(seed))


def parameters(model):
    return sum(weight.numel() for weight in model.parameters())


class Written:
    """FPD written down once more, from a state dict alone. `share`: the scale of every Gram term, if not the state's.

    `without`: parts that are left out.
    """

    def __init__(self, state, *, share=None, without=()):
        self.state, self.share, self.without = state, share, without
        self.side = "back"

    def conv(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        groups, padding = x.shape[1] // weight.shape[1], weight.shape[2] // 2
        bias = self.state.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)

    def norm(self, x, name):
        own = self.side == "front" and f"{name}.restoring_mean" in self.state
        statistics = ("restoring_mean", "restoring_var") if own else ("running_mean", "running_var")
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"][:, None, None] for part in (*statistics, "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def stage(self, x, stage):
        for block in range(sum(name.startswith(f"layer{stage}.") for name in self.state)):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            if f"{name}.conv1.weight" not in self.state:
                return x
            bottleneck = f"{name}.conv3.weight" in self.state
            y = functional.elu(self.norm(self.conv(x, f"{name}.conv1", 1 if bottleneck else stride), f"{name}.bn1"))
            y = self.norm(self.conv(y, f"{name}.conv2", stride if bottleneck else 1), f"{name}.bn2")
            if bottleneck:
                y = self.norm(self.conv(functional.elu(y), f"{name}.conv3"), f"{name}.bn3")
            if f"{name}.downsample.0.weight" in self.state:
                x = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = functional.elu(x + y)
        raise AssertionError("a stage has an end")

    def term(self, x, name):
        share = self.state[f"{name}.share"] if self.share is None else self.share
        gram = torch.einsum("bihw,bjhw->bij", x, x)
        return share * torch.einsum("bij,bjhw->bihw", gram, x) / (x.shape[2] * x.shape[3])

    def denoised(self, x, name):
        return x if name.split("_")[0] in self.without else x + self.term(x, name)

    def bottom(self, x, side):
        self.side = side
        x = functional.elu(self.norm(self.conv(x, "conv1", 2), "bn1"))
        x = functional.max_pool2d(x, 3, 2, 1)
        c2 = self.stage(self.denoised(x, f"{side}_stem"), 1)
        c3 = self.stage(self.denoised(c2, f"{side}_layer1"), 2)
        c4 = self.stage(c3, 3)
        return c2, c3, c4, self.stage(c4, 4)

    def restored(self, x):
        c2, c3, c4, c5 = self.bottom(x, "front")
        up = functional.interpolate
        p4 = up(self.conv(c5, "decoder.top"), c4.shape[2:], mode="bilinear") + self.conv(c4, "decoder.lateral4")
        p3 = up(p4, c3.shape[2:], mode="bilinear") + self.conv(c3, "decoder.lateral3")
        p2 = self.conv(up(p3, c2.shape[2:], mode="bilinear") + self.conv(c2, "decoder.lateral2"), "decoder.smooth")
        for layer in range(3):
            name = f"decoder.transposed.{layer}"
            weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
            p2 = functional.conv_transpose2d(p2, weight, bias, stride=weight.shape[2])
        return p2[:, :, : x.shape[2], : x.shape[3]]

    def scores(self, x):
        z = x if "restoration" in self.without else self.restored(x)
        if "back" not in self.without:
            z = z + self.term(x, "back_image")
        pooled = self.bottom(z, "back")[3].mean(dim=(2, 3))
        logits = pooled @ self.state["fc.weight"].T + self.state["fc.bias"]
        return logits if "bounded" in self.without else logits.tanh()


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.detach().abs().max()))


# -- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plain_body_computes_what_torchvision_s_does_with_elu_for_relu(name):
    from torchvision import models

    with torch.device("meta"):
        theirs = models.get_model({"resnext50": "resnext50_32x4d"}.get(name, name), weights=None, num_classes=5)
    for module in list(theirs.modules()):
        if hasattr(module, "relu"):
            module.relu = nn.ELU()
    torch.manual_seed(0)
    ours = stirred(build_body(Body(name=f"elu-{name}"), classes=5))
    theirs.load_state_dict(ours.state_dict(), strict=True, assign=True)
    images = pictures(45)
    with torch.no_grad():
        expected = theirs.eval()(images)
        close(ours(images), expected)
    assert (expected[0] - expected[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("name", "side"),
    [
        pytest.param(name, side, marks=[pytest.mark.slow] if side == 224 and "resnet101" in name else [])
        for name in PLAIN + FPD
        for side in (28, 32, 64, 224)
    ],
)
def test_values_and_gradients_are_finite_at_the_start(name, side):
    model = build_classifier(narrow(name), Normalisation(), classes=5, seed=0)
    images = pictures(side, 4 if side < 64 else 2).requires_grad_()
    labels = torch.arange(len(images))
    for training, precision in ((True, "fp32"), (True, "bf16"), (False, "fp32")):  # evaluation is never in bf16
        model.train(training)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"), model.listening() as heard:
            scores = model(images)
        loss = functional.cross_entropy(scores.float(), labels)
        assert scores.shape == (len(images), 5)
        if name in FPD:
            assert heard[0].shape == images.shape
            assert scores.abs().max() <= 1
            loss = loss + functional.mse_loss(heard[0].float(), images)
        found = torch.autograd.grad(loss, [images, *model.parameters()])
        assert all(torch.isfinite(value).all() for value in (scores, *found))
        assert all(value.abs().max() > 0 for value in found), (training, precision)


def test_at_full_width_and_224_pixels_the_published_scale_overflows_and_ours_does_not():
    """The published network, whose Gram term is not scaled by the channels, overflows with its own start."""
    model = build_classifier(Body(name="fpd-resnet50"), Normalisation(), classes=10, seed=0).eval()
    raw, images = attacked_through(model, "raw"), pictures(224, 1)
    with torch.no_grad():
        assert raw(images).abs().max() < 10
        assert raw.stages(images)[0].abs().max() < 10
        rescale(raw, 1.0)
        assert not torch.isfinite(raw(images)).all()


@pytest.mark.parametrize(("name", "side"), [("fpd-resnet18", 45), ("fpd-resnet50", 64), ("fpd-resnext50", 33)])
def test_the_network_is_what_methods_4_writes(name, side):
    model = classifier(name)
    inputs = model.normalise(pictures(side))
    written = Written(model.body.state_dict(), without=("bounded",))
    with torch.no_grad():
        expected = written.scores(inputs)
        close(model.body.restore(inputs), written.restored(inputs))
        close(model.body(inputs), expected.tanh())
        model.body.bounded = False
        close(model.body(inputs), expected)
    assert (expected[0] - expected[1]).abs().max() > 1e-2


def test_the_published_networks_have_as_many_weights_as_their_layers_say():
    """Of a ResNet-101 with 10 classes, and of the layers that the published resnet.py puts around it."""
    with torch.device("meta"):
        built = build_body(Body(name="fpd-resnet101"), classes=10)
    body = 42_500_160 + 2049 * 10
    pyramid = (2048 + 1024 + 512 + 256 + 4) * 256 + (9 * 256 + 1) * 256
    assert parameters(built) == body + pyramid + (256 * 4 * 64 + 64) + (64 * 4 * 16 + 16) + (16 * 3 + 3)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (29, 29), (30, 30), (31, 31), (33, 33), (45, 30), (97, 97)])
def test_the_restored_image_is_as_large_as_the_image(height, width):
    model = classifier("fpd-resnet18")
    images = pictures(height, width=width)
    with torch.no_grad():
        (restored,) = model.stages(images)
        assert restored.shape == images.shape
        assert torch.equal(restored, model.body.restore(model.normalise(images)))


# -- denoising ---------------------------------------------------------------------------------------------------------


def test_the_gram_term_is_an_explicit_loop_s():
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros_like(features)
    for image, i, j in ((image, i, j) for image in range(2) for i in range(3) for j in range(3)):
        gram = sum(features[image, i, h, w] * features[image, j, h, w] for h in range(4) for w in range(5))
        expected[image, i] += gram * features[image, j] / (4 * 5)
    torch.testing.assert_close(gram_product(features), expected)
    torch.testing.assert_close(GramDenoising(3)(features), features + expected / 3)
    other = torch.ones_like(features)
    torch.testing.assert_close(GramDenoising(3)(features, other), other + expected / 3)


@pytest.mark.parametrize("channels", [3, 64, 256])
def test_what_denoising_adds_is_at_most_the_mean_square_times_the_features(channels):
    alike = torch.ones(1, channels, 6, 6) * torch.linspace(-2, 2, 36).view(6, 6)  # the worst: all channels one
    drawn = torch.randn(1, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    for features in (alike, drawn):
        added = GramDenoising(channels)(features) - features
        bound = features.square().mean() * features.norm()
        assert added.norm() <= bound * (1 + 1e-5)
    assert (GramDenoising(channels)(alike) - alike).norm() > 0.99 * alike.square().mean() * alike.norm()


def test_straight_through_keeps_the_value_and_takes_the_identity_s_gradient():
    denoising = GramDenoising(3)
    features = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    value = denoising(features)
    (full,) = torch.autograd.grad((weights * value).sum(), features)
    denoising.straight_through = True
    assert torch.equal(denoising(features), value)
    (straight,) = torch.autograd.grad((weights * denoising(features)).sum(), features)
    assert torch.equal(straight, weights)
    assert (full - weights).abs().max() > 0.1


# -- parts left out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", SWITCHES)
def test_a_part_that_is_switched_off_is_gone_from_weights_and_output(part):
    whole, without = classifier("fpd-resnet18"), classifier("fpd-resnet18", **{part: 0})
    gone = {
        "front_denoising": {"front_stem.share", "front_layer1.share"},
        "back_denoising": {"back_image.share", "back_stem.share", "back_layer1.share"},
        "bounded": set(),
        "restoration": {
            name for name in whole.body.state_dict() if name.startswith(("decoder.", "front_")) or "restoring" in name
        },
    }[part]
    assert whole.body.state_dict().keys() - without.body.state_dict().keys() == gone
    decoder = sum(weight.numel() for name, weight in whole.body.named_parameters() if name.startswith("decoder."))
    assert parameters(whole) - parameters(without) == (decoder if part == "restoration" else 0)
    state = {name: value for name, value in whole.body.state_dict().items() if name not in gone}
    without.body.load_state_dict(state, strict=True)
    inputs = whole.normalise(pictures(32))
    with torch.no_grad():
        expected = Written(state, without=(part, part.split("_")[0])).scores(inputs)
        close(without.body(inputs), expected)
        assert (whole.body(inputs) - expected).abs().max() > 1e-3


def test_an_image_is_restored_in_evaluation_as_in_training_where_each_pass_has_its_own_statistics():
    images, off = pictures(64, 16), {}
    for own in (1, 0):
        torch.manual_seed(0)
        body = build_body(narrow("fpd-resnet18", own_statistics=own), classes=5).train()
        with torch.no_grad():
            for _ in range(60):
                body(images)
            trained = body.restore(images)
            off[own] = (body.eval().restore(images) - trained).abs().mean() / trained.abs().mean()
    assert off[1] < 0.1 < 0.2 < off[0]  # the running variance is the unbiased one


def test_without_momentum_the_statistics_of_each_pass_are_means_over_all_batches():
    """As weight averaging measures them anew (torch's update_bn)."""
    norm = PassNorm(2)
    norm.momentum = None
    batches = torch.randn(3, 2, 4, 2, 5, 5, generator=torch.Generator().manual_seed(0))  # batch, pass, image, channel
    for batch in batches:
        for norm.restoring, features in zip((True, False), batch, strict=True):
            norm(features)
    means, variances = batches.mean(dim=(2, 4, 5)), batches.var(dim=(2, 4, 5))
    torch.testing.assert_close((norm.restoring_mean, norm.running_mean), tuple(means.mean(dim=0)))
    torch.testing.assert_close((norm.restoring_var, norm.running_var), tuple(variances.mean(dim=0)))


def test_without_any_part_it_is_its_plain_twin():
    bare = classifier("fpd-resnet50", **dict.fromkeys(SWITCHES, 0))
    plain = classifier("elu-resnet50", seed=1)
    plain.body.load_state_dict(bare.body.state_dict(), strict=True)
    images = pictures(64)
    with torch.no_grad():
        assert torch.equal(bare(images), plain(images))


@pytest.mark.parametrize(("restoration", "passes"), [(1, 2), (0, 1)])
def test_without_restoration_there_is_one_pass_and_no_restored_image(restoration, passes):
    model = classifier("fpd-resnet18", restoration=restoration)
    calls = []
    model.body.layer4.register_forward_hook(lambda *_: calls.append(1))
    assert len(model.stages(pictures(32))) == restoration
    assert len(calls) == passes


def test_dropout_is_of_the_pooled_features_in_training_alone():
    model = classifier("fpd-resnet18", dropout=25, width=16)
    heard = []
    model.body.fc.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    images = pictures(32, 8)
    features = model.features(images)
    assert torch.equal(heard[0], features)
    model.body.dropout.train()
    assert torch.equal(model.features(images), features)
    dropped = heard[1] == 0
    assert 0.15 < dropped.float().mean() < 0.35
    torch.testing.assert_close(heard[1][~dropped], features[~dropped] / 0.75)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 0}, "width 0"),
        ({"lateral": 0}, "lateral cannot be 0"),
        ({"dropout": 100}, "dropout cannot be 100"),
        ({"restoration": 2}, "restoration cannot be 2"),
        ({"bounded": -1}, "bounded cannot be -1"),
        ({"tanh": 1}, "has no option tanh"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build_body(narrow("fpd-resnet18", **options), classes=5)
    assert caught.value.where.startswith("body.options")
    assert caught.value.mend


# -- what attacks see --------------------------------------------------------------------------------------------------


def saturated():
    """A network so sure that tanh leaves nothing of its gradient, as in docs/definitions.md#f1."""
    model = classifier("fpd-resnet18")
    with torch.no_grad():
        raw = attacked_through(model, "raw")(pictures(32))
        model.head.weight.mul_(200 / raw.abs().min())
        model.head.bias.mul_(200 / raw.abs().min())
    return model


def test_attacks_see_the_logits_before_tanh_in_a_copy():
    model, images = saturated(), pictures(32)
    raw = attacked_through(model, "raw")
    torch.testing.assert_close(raw(images).tanh(), model(images))
    assert raw(images).abs().min() > 100
    masked, open_ = (torch.autograd.grad(seen(images.requires_grad_())[:, 0].sum(), images)[0] for seen in (model, raw))
    assert masked.abs().max() == 0
    assert open_.abs().max() > 0
    with torch.no_grad():
        raw.head.weight.zero_()
    assert model.head.weight.abs().min() > 0
    assert model.body.bounded


def test_straight_through_is_the_raw_network_with_other_gradients():
    model, images = classifier("fpd-resnet18"), pictures(32).requires_grad_()
    raw, straight = attacked_through(model, "raw"), attacked_through(model, "straight-through")
    assert torch.equal(raw(images), straight(images))
    constant = Constant(model.body.state_dict(), model.normalise(images).detach())
    through, expected, full = (
        torch.autograd.grad(scores[:, 0].sum(), images)[0]
        for scores in (straight(images), constant.scores(model.normalise(images)), raw(images))
    )
    close(through, expected)
    assert (through - full).abs().max() > 0.01 * full.abs().max()
    assert not any(module.straight_through for module in model.modules() if isinstance(module, GramDenoising))


class Constant(Written):
    """Its Gram terms are constants, those of fixed images, in the order in which they are added."""

    def __init__(self, state, images):
        super().__init__(state, without=("bounded",))
        self.terms, self.recorded = [], False
        with torch.no_grad():
            self.scores(images)
        self.recorded = True

    def term(self, x, name):
        if not self.recorded:
            self.terms.append(super().term(x, name))
            return self.terms[-1]
        return self.terms.pop(0)


def test_a_model_is_attacked_as_it_is_where_nothing_masks_it():
    plain, model = classifier("elu-resnet18"), classifier("fpd-resnet18")
    assert attacked_through(plain, "raw") is plain
    assert attacked_through(plain, "straight-through") is plain
    assert attacked_through(model, "model") is model


def test_the_restoration_path_is_named_for_training():
    body = classifier("fpd-resnet18").body
    transposed = ("decoder.transposed.0", "decoder.transposed.1", "decoder.transposed.2")
    laterals = ("decoder.lateral2", "decoder.lateral3", "decoder.lateral4", "decoder.top", "decoder.smooth")
    assert restoration_names(body, as_published=True) == transposed
    assert restoration_names(body, as_published=False) == laterals + transposed
    owned = {name.rpartition(".")[0] for name, _ in body.named_parameters() if name.startswith("decoder.")}
    assert owned == {*laterals, *transposed}
    assert restoration_names(classifier("fpd-resnet18", restoration=0).body, as_published=False) == ()
    assert restoration_names(classifier("elu-resnet18").body, as_published=False) == ()


# -- as a classifier ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN + FPD)
def test_head_and_features_make_the_logits(name):
    model = classifier(name)
    images = pictures(32)
    with torch.no_grad():
        logits = attacked_through(model, "raw")(images)
        assert torch.allclose(model.head(model.features(images)), logits, atol=1e-6)


@pytest.mark.parametrize("name", ["elu-resnext50", "fpd-resnet18"])
def test_a_saved_network_comes_back(name, tmp_path):
    model = classifier(name)
    weights, card = tmp_path / "weights.safetensors", tmp_path / "card.json"
    save_classifier(weights, model)
    write_card(card, kind="robust", files={weights.name: weights}, **architecture_facts(model))
    images = pictures(32)
    with torch.no_grad():
        assert torch.equal(load_classifier(weights, card)(images), model(images))
        assert torch.equal(copy.deepcopy(model)(images), model(images))


def test_a_start_reaches_every_weight_and_every_statistic():
    one, other = (build_classifier(narrow("fpd-resnet50"), Normalisation(), classes=5, seed=0) for _ in range(2))
    with torch.no_grad():
        measured = [value for name, value in other.body.named_buffers() if name.endswith(("_mean", "_var"))]
        for weight in (*other.body.parameters(), *measured):
            weight.fill_(float("nan"))
    randomise(other, 0)
    mine, theirs = one.state_dict(), other.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


# -- other people's files ----------------------------------------------------------------------------------------------

PUBLISHED_NAMES = {
    "decoder.top": "toplayer",
    "decoder.lateral4": "latlayer1",
    "decoder.lateral3": "latlayer2",
    "decoder.lateral2": "latlayer3",
    "decoder.smooth": "smooth3",
    "decoder.transposed": "trans_conv",
    "conv1": "group1.conv1",
    "bn1": "group1.bn1",
    "fc": "group2.fc",
}


def as_published(state):
    """Give a state the names of the published resnet.py, whose blocks wrap all but the shortcut in a group."""
    renamed = {}
    for name, value in state.items():
        if name.endswith((".share", ".restoring_mean", ".restoring_var")):
            continue
        for ours, theirs in PUBLISHED_NAMES.items():
            if name.startswith(f"{ours}."):
                name = name.replace(ours, theirs, 1)
                break
        stage, block, *rest = name.split(".")
        if stage.startswith("layer") and rest[0] != "downsample":
            name = ".".join((stage, block, "group1", *rest))
        renamed[name] = value
    return renamed


def fetched(path, name, **options):
    """Load a file as fetch_robust does."""
    model = Classifier(narrow(name, **options), Normalisation(), classes=5)
    state = part_of_state(resolve(BODIES.member(name).reader)(path), model.body, Normalisation(), where=str(path))
    load_state(model.body, state, where=str(path))
    return model.eval()


def test_weights_of_the_published_code_compute_what_they_did_there(tmp_path):
    source = classifier("fpd-resnet50", seed=3, share=1.0, own_statistics=0).body.state_dict()
    optimiser = torch.optim.Optimizer([torch.zeros(1)], {"lr": 1e-4})
    checkpoint = {"state_dict": as_published(source), "opt_state_dict": optimiser.state_dict(), "epoch": 7}
    torch.save(checkpoint, tmp_path / "bestmodel_params.pkl")
    model = fetched(tmp_path / "bestmodel_params.pkl", "fpd-resnet50", bounded=0)
    inputs = model.normalise(pictures(224))
    theirs, ours = (Written(source, share=share, without=("bounded",)) for share in (1.0, 1 / 16))
    with torch.no_grad():
        close(model.body.restore(inputs), theirs.restored(inputs))
        close(model.body(inputs), theirs.scores(inputs))
        assert (model.body(inputs) - ours.scores(inputs)).abs().max() > 1
    save_classifier(tmp_path / "ours.safetensors", model)
    again = fetched(tmp_path / "ours.safetensors", "fpd-resnet50", bounded=0)
    with torch.no_grad():
        assert torch.equal(again.body(inputs), model.body(inputs))


def test_published_weights_are_refused_by_a_network_that_lacks_a_part_or_is_another(tmp_path):
    torch.save(as_published(classifier("fpd-resnet50").body.state_dict()), tmp_path / "fpd.pkl")
    with pytest.raises(WeightsError, match=r"unexpected: front_stem\.share, front_layer1\.share"):
        fetched(tmp_path / "fpd.pkl", "fpd-resnet50", front_denoising=0)
    with pytest.raises(WeightsError, match="of another shape: layer"):
        fetched(tmp_path / "fpd.pkl", "fpd-resnext50")
    with pytest.raises(WeightsError, match="ELU"):
        fetched(tmp_path / "fpd.pkl", "elu-resnet50")


def test_the_published_resnext_is_refused_with_the_reason(tmp_path):
    torch.save({"conv2.0.split_transforms.0.weight": torch.ones(2, 2), "fc.bias": torch.ones(5)}, tmp_path / "x.pkl")
    with pytest.raises(WeightsError, match="stem, its grouped and its transposed"):
        fetched(tmp_path / "x.pkl", "fpd-resnext50")


def test_a_plain_network_of_the_published_code_is_refused_with_the_reason(tmp_path):
    state = classifier("fpd-resnet50").body.state_dict()
    plain = {name: value for name, value in as_published(state).items() if not name.startswith(("trans", "lat", "smo"))}
    torch.save(plain, tmp_path / "plain.pkl")
    with pytest.raises(WeightsError, match="it has ReLU"):
        fetched(tmp_path / "plain.pkl", "fpd-resnet50")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    ("name", "options"), [("elu-resnet18", {}), ("fpd-resnet18", {"restoration": 0, "back_denoising": 0})]
)
def test_weights_that_fit_a_network_with_relu_are_never_taken_for_one_with_elu(tmp_path, name, options, suffix):
    from safetensors.torch import save_file

    path, state = tmp_path / f"resnet18.{suffix}", state_copy(classifier(name, **options).body)
    torch.save(state, path) if suffix == "pth" else save_file(state, path)
    with pytest.raises(WeightsError, match="names no body, and no state dict tells") as caught:
        fetched(path, name, **options)
    assert "save_classifier" in caught.value.mend


@pytest.mark.parametrize("name", ["elu-resnet18", "fpd-resnet18"])
def test_weights_that_this_project_wrote_load_into_their_own_body_alone(tmp_path, name):
    model, path = classifier(name), tmp_path / "weights.safetensors"
    save_classifier(path, model)
    images = pictures(32)
    with torch.no_grad():
        assert torch.equal(fetched(path, name)(images), model(images))
    other = "elu-resnet18" if name in FPD else "fpd-resnet18"
    with pytest.raises(WeightsError, match=f"written for the body {name}"):
        fetched(path, other)
