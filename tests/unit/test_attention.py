"""Where models look: the maps against other computations, their place in the image, densities and overlaps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from heirloom.config.costs import stage_positions
from heirloom.config.kinds import BODIES
from heirloom.config.models import Body, Normalisation
from heirloom.evaluation.attention import density, look, overlap, resized, scaled
from heirloom.models.classifier import build_classifier
from heirloom.models.footprint import stage_strides
from tests.unit import toy
from tests.unit.attacked import one_thread

KINDS = ("activation", "grad-cam")


@pytest.fixture(scope="module")
def resnet():
    """torchvision's ResNet-18 with statistics and weights that are not all alike."""
    return build_classifier(Body(name="resnet18"), Normalisation(), classes=7, seed=3).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 3, 96, 80, generator=torch.Generator().manual_seed(1))


def literal(model, image, stage):
    """Both maps of one image (3, H, W), by hooks and loops: unscaled (h, w) each, and the predicted class."""
    kept = {}
    module = model.body.get_submodule(stage)
    handles = [
        module.register_forward_hook(lambda _m, _i, output: kept.update(output=output)),
        module.register_full_backward_hook(lambda _m, _i, gradients: kept.update(gradient=gradients[0])),
    ]
    model.zero_grad()
    logits = model(image[None])
    label = int(logits[0].argmax())
    logits[0, label].backward()
    for handle in handles:
        handle.remove()
    output, gradient = (kept[name][0].detach().double() for name in ("output", "gradient"))
    channels, height, width = output.shape
    activation, cam = np.zeros((height, width)), np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                value = float(output[channel, row, column])
                activation[row, column] += abs(value) / channels
                cam[row, column] += value * float(gradient[channel].sum()) / (height * width)
            cam[row, column] = max(cam[row, column], 0.0)
    return {"activation": activation, "grad-cam": cam}, label


def between_0_and_1(found):
    return (found - found.min()) / (found.max() - found.min())


@pytest.mark.parametrize(("number", "name"), [(None, "layer4"), (3, "layer3")])
def test_both_maps_of_a_resnet_are_those_of_hooks_and_loops(resnet, images, number, name):
    with one_thread():
        found = look(resnet, images, kinds=KINDS, stage=number)
        for place, image in enumerate(images):
            maps, label = literal(resnet, image, name)
            assert int(found.labels[place]) == label
            for kind in KINDS:
                expected = between_0_and_1(maps[kind])
                assert np.abs(found.maps[kind][place].numpy() - expected).max() < 2e-4, kind


def test_an_image_s_map_does_not_depend_on_its_batch(images):
    model = toy.classifier(classes=4, seed=2)
    together = look(model, images, kinds=KINDS).maps
    for kind in KINDS:
        alone = torch.cat([look(model, image[None], kinds=KINDS).maps[kind] for image in images])
        assert torch.allclose(together[kind], alone, atol=1e-5)


def test_looking_leaves_the_model_as_it_was(images):
    model = toy.classifier(classes=4).train()
    hooks = len(model.body.get_submodule("layer3")._forward_hooks)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = look(model, images, kinds=KINDS)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():  # whoever calls
        assert torch.equal(look(model, images, kinds=KINDS).maps["grad-cam"], first.maps["grad-cam"])
    assert len(model.body.get_submodule("layer3")._forward_hooks) == hooks


def test_maps_reach_from_0_to_1_and_one_without_contrast_is_even():
    maps = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[4.0, 4.0], [4.0, 4.0]]])
    assert scaled(maps).tolist() == [[[0.0, 0.5], [0.25, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]


# -- places ------------------------------------------------------------------------------------------------------------


def centre_of_mass(image):
    """Row and column in pixels, edges counted as 0 and the side."""
    side = len(image)
    steps = torch.arange(side, dtype=torch.float64) + 0.5
    mass = image.double()
    return float((mass.sum(1) * steps).sum() / mass.sum()), float((mass.sum(0) * steps).sum() / mass.sum())


@pytest.mark.parametrize(("positions", "side", "stride"), [(7, 224, 32), (8, 32, 4), (12, 24, 2), (7, 50, 8)])
def test_a_hot_spot_lands_at_its_position_s_centre_to_half_a_pixel(positions, side, stride):
    for row in range(1, positions - 1):
        for column in range(1, positions - 1):
            maps = torch.zeros(1, positions, positions)
            maps[0, row, column] = 1
            found = centre_of_mass(resized(maps, side, stride)[0])
            for place, measured in zip((row, column), found, strict=True):
                assert abs(measured - (place * stride + 0.5)) < 0.5


def test_a_map_s_values_stand_at_their_positions_and_mix_linearly_between():
    maps = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]]])
    large = resized(maps, 12, 4)[0]
    assert large[::4, ::4].equal(maps[0])
    assert large[0].tolist() == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0]
    assert (large[8:, 8:] == 4).all()  # beyond the last position


def test_an_even_map_stays_even_at_any_size():
    assert torch.allclose(resized(torch.full((2, 7, 4), 0.3), 50, 8), torch.tensor(0.3))


@pytest.mark.parametrize(
    ("body", "side"),
    [
        (Body(name="resnet8-small", options={"width": 16, "stem_stride": 2}), 64),
        (Body(name="resnet18"), 224),
        (Body(name="mobilenet_v2"), 224),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_changes_in_the_image_changes_the_map_there_and_not_half_a_position_off(body, side):
    stride, offsets, stretched = stage_strides(body)[-1], [], []
    grey = torch.full((1, 3, side, side), 0.5)
    top = side // 2 - stride // 2
    lit = grey.clone()
    lit[:, :, top : top + stride, top : top + stride] = 1.0
    for seed in range(4):  # filters at random lean to one side or another
        model = build_classifier(body, Normalisation(), classes=4, seed=seed).eval()
        with one_thread(), torch.no_grad():
            change = (model.stages(lit)[-1] - model.stages(grey)[-1]).abs().mean(dim=1)
        published = functional.interpolate(change[:, None], size=(side, side), mode="bilinear")[:, 0]
        for found, large in ((offsets, resized(change, side, stride)), (stretched, published)):
            found += [place - side // 2 for place in centre_of_mass(large[0])]
    assert abs(np.mean(offsets)) < stride / 6
    assert stride / 3 < np.mean(stretched) < 2 * stride / 3


@pytest.mark.parametrize("name", BODIES.names())
@pytest.mark.parametrize("side", [32, 50, 224])
def test_planned_positions_are_the_network_s(name, side):
    options = [{}, {"stem_stride": 2, "width": 2}] if name.endswith("small") else [{}]
    for each in options:
        body = Body(name=name, options=each)
        with torch.device("meta"):
            model = build_classifier_on_meta(body)
            stages = model.stages(torch.empty(2, 3, side, side))
        assert stage_positions(body, side) == tuple(output.shape[-1] for output in stages)


def build_classifier_on_meta(body):
    from heirloom.models.classifier import Classifier

    return Classifier(body, Normalisation(), classes=2).eval()


# -- densities ---------------------------------------------------------------------------------------------------------


def test_an_even_map_is_as_dense_everywhere_as_on_average():
    regions = torch.rand(5, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(density(torch.full((5, 9, 9), 0.3), regions), torch.ones(5))


def test_density_is_the_share_of_mass_over_the_share_of_area():
    maps, regions = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    maps[0, 0] = 1.0
    regions[0, :2, :2] = 1.0
    assert density(maps, regions).item() == pytest.approx((2 / 4) / (4 / 16))
    regions[0, 0, 0] = 0.5  # half of a pixel
    assert density(maps, regions).item() == pytest.approx((1.5 / 4) / (3.5 / 16))


def test_an_empty_region_has_no_density():
    assert density(torch.ones(1, 4, 4), torch.zeros(1, 4, 4)).isnan().all()


def test_overlap_is_1_of_a_map_with_itself_and_0_of_maps_apart():
    first, second = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    first[:, :2], second[0, 2:], second[1, 1:3] = 1.0, 3.0, 2.0
    assert overlap(first, first).tolist() == pytest.approx([1.0, 1.0])
    assert overlap(first, second).tolist() == pytest.approx([0.0, 0.5])
