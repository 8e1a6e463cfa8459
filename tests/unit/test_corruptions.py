"""Corruptions: each against another library's or a plain implementation, or against what defines it."""

from __future__ import annotations

import colorsys
import io
from math import ceil, cos, hypot, radians, sin

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from heirloom.config.kinds import CORRUPTIONS
from heirloom.config.robust import STANDARD_CORRUPTIONS
from heirloom.data.corruptions import resampling
from heirloom.data.corruptions.spatter import relief as water
from heirloom.data.distortion import filters
from heirloom.data.distortion.corrupt import corrupt, corrupt_pixels
from heirloom.data.distortion.draws import Draws
from heirloom.data.distortion.fractal import clouds, map_side
from heirloom.data.distortion.levels import Levels, nearest_side
from heirloom.runtime.errors import ConfigError

SEVERITIES = range(1, 6)
Plane = NDArray[np.float64]


def scenes(count: int = 3, side: int = 32, seed: int = 0) -> torch.Tensor:
    """Smooth coloured images with an edge or two, of 8 bits as decoded ones are."""
    random = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(
        random.normal(size=(count, 3, side, side)), (0, 0, side / 8, side / 8), mode="wrap"
    )
    fields = 0.5 + 0.18 * fields / fields.std(axis=(1, 2, 3), keepdims=True)
    fields[:, :, side // 3 : side // 2, side // 4 : side // 2] *= 0.5
    return torch.from_numpy((fields.clip(0, 1) * 255).round() / 255).float()


def grey(value: float = 0.5, count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.full((count, 3, side, side), value)


def draws(count: int = 3) -> Draws:
    return Draws.of(7, "kind", [f"test/{number}" for number in range(count)])


def run(images: torch.Tensor, kind: str, severity: int) -> torch.Tensor:
    return corrupt(images, kind, severity, draws(len(images)))


# -- all of them -------------------------------------------------------------------------------------------------------


def test_a_suite_shows_all_published_kinds_where_it_says_nothing() -> None:
    assert set(STANDARD_CORRUPTIONS) <= set(CORRUPTIONS.names())
    assert len(set(STANDARD_CORRUPTIONS)) == len(STANDARD_CORRUPTIONS) == 18


@pytest.mark.parametrize("side", [32, 48, 64, 96])
@pytest.mark.parametrize("kind", CORRUPTIONS.names())
def test_shape_and_range_are_kept_and_the_images_are_left_alone(kind: str, side: int) -> None:
    images = scenes(2, side).to(memory_format=torch.channels_last)
    before = images.clone()
    for severity in SEVERITIES:
        changed = run(images, kind, severity)
        assert changed.shape == images.shape
        assert changed.dtype == torch.float32
        assert torch.isfinite(changed).all()
        assert 0 <= changed.min() <= changed.max() <= 1
        assert not torch.equal(changed, images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("kind", CORRUPTIONS.names())
def test_an_image_looks_the_same_in_any_company(kind: str) -> None:
    images, names = scenes(4), [f"test/{number}" for number in range(4)]
    whole = corrupt_pixels(images, kind, 3, seed=1, samples=names)
    some = corrupt_pixels(images[[3, 1]], kind, 3, seed=1, samples=[names[3], names[1]])
    assert whole.dtype == np.uint8
    assert whole.shape == (4, 32, 32, 3)
    assert np.array_equal(whole[[3, 1]], some)
    random = kind in RANDOM
    for other in (
        corrupt_pixels(images, kind, 3, seed=2, samples=names),
        corrupt_pixels(images, kind, 3, seed=1, samples=[f"{name}x" for name in names]),
    ):
        assert np.array_equal(whole, other) != random


RANDOM = {
    *("gaussian-noise", "shot-noise", "speckle-noise", "impulse-noise", "motion-blur"),
    *("snow", "frost", "fog", "spatter", "elastic-transform"),
}
# As published their severities are other settings, not more of one: less colour, then more; water, then mud; a map of
# the whole image, then ever finer waves; ice added, then exchanged for the image; blocks that fit the pixels or do not.
NOT_RISING = {"saturate", "spatter", "elastic-transform", "frost", "pixelate"}


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS.names() if kind not in NOT_RISING])
def test_damage_rises_with_severity(kind: str) -> None:
    images = scenes(16)
    damage = [float((run(images, kind, severity) - images).square().mean()) for severity in SEVERITIES]
    assert damage == sorted(damage)
    assert damage[4] > 1.2 * damage[0]


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match="no corruption 'glass-blur'"):
        run(scenes(), "glass-blur", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match="from 1 to 5"):
            run(scenes(), "fog", severity)
    with pytest.raises(ValueError, match="must be square"):
        run(torch.zeros(1, 3, 32, 40), "fog", 1)


def test_constants_go_by_the_nearest_side_and_lengths_by_the_image() -> None:
    assert [nearest_side(side) for side in (28, 32, 45, 46, 64, 119, 120, 224, 256)] == [
        32,
        32,
        32,
        *[64] * 3,
        *[224] * 3,
    ]
    levels = Levels((1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14, 15))
    assert levels.at(torch.zeros(1, 3, 32, 32), 2) == (2, 1.0)
    assert levels.at(torch.zeros(1, 3, 96, 96), 5) == (10, 1.5)
    assert levels.at(torch.zeros(1, 3, 224, 224), 1) == (11, 1.0)


def test_draws_are_an_images_own() -> None:
    one, many = Draws.of(3, "fog", ["b"]), Draws.of(3, "fog", ["a", "b"])
    for draw in (lambda it: it.uniform(2, low=-1), lambda it: it.normal(4, 4), lambda it: it.uniform()):
        assert torch.equal(draw(one)[0], draw(many)[1])
    counts = Draws.of(3, "shot", ["a"] * 1).poisson(torch.full((1, 40_000), 5.0))
    assert abs(float(counts.mean()) - 5) < 0.05
    assert abs(float(counts.var()) - 5) < 0.2
    fields = [Draws.of(*place).normal(4) for place in ((3, "fog", ["a"]), (3, "snow", ["a"]), (4, "fog", ["a"]))]
    assert len({tuple(field.flatten().tolist()) for field in fields}) == 3
    uniform = Draws.of(3, "u", ["a"]).uniform(10_000, low=-45, high=45)
    assert -45 <= uniform.min() < -44.9
    assert 44.9 < uniform.max() < 45


# -- noise -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "deviation"), list(enumerate((0.04, 0.06, 0.08, 0.09, 0.10), start=1)))
def test_gaussian_noise_keeps_the_mean_and_has_its_deviation(severity: int, deviation: float) -> None:
    change = run(grey(side=32, count=3), "gaussian-noise", severity) - 0.5
    assert abs(float(change.mean())) < 4 * deviation / change.numel() ** 0.5
    assert float(change.std()) == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize(("severity", "photons"), list(enumerate((250, 100, 50, 30, 15), start=1)))
def test_shot_noise_counts_photons(severity: int, photons: int) -> None:
    for value in (0.2, 0.5):
        counted = run(grey(value), "shot-noise", severity) * photons
        assert torch.allclose(counted, counted.round(), atol=1e-3)
        assert float(counted.mean()) == pytest.approx(value * photons, rel=0.02)
        assert float(counted.var()) == pytest.approx(value * photons, rel=0.08)


def test_speckle_noise_is_in_proportion() -> None:
    dark, light = (run(grey(value), "speckle-noise", 1) - value for value in (0.1, 0.4))
    assert torch.allclose(4 * dark, light, atol=1e-6)
    assert float(light.std()) == pytest.approx(0.15 * 0.4, rel=0.03)
    assert run(grey(0.0), "speckle-noise", 5).max() == 0


@pytest.mark.parametrize(("severity", "share"), list(enumerate((0.01, 0.02, 0.05, 0.08, 0.14), start=1)))
def test_impulse_noise_hits_its_share_of_values(severity: int, share: float) -> None:
    noisy = run(grey(count=3), "impulse-noise", severity)
    assert set(noisy.unique().tolist()) == {0.0, 0.5, 1.0}
    assert float((noisy != 0.5).float().mean()) == pytest.approx(share, rel=0.1)
    assert float((noisy == 1).sum() / (noisy != 0.5).sum()) == pytest.approx(0.5, abs=0.07)


# -- blurs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(("side", "sigmas"), [(32, (0.4, 0.6, 0.7, 0.8, 1)), (112, (0.5, 1, 1.5, 2, 3))])
def test_gaussian_blur_is_scipys(side: int, sigmas: tuple[float, ...], severity: int) -> None:
    if side == 112:  # nearest to 64: the constants of Tiny-ImageNet-C, lengths by 112 / 64
        sigmas = tuple(1.75 * sigma for sigma in (0.5, 0.75, 1, 1.25, 1.5))
    images = scenes(2, side)
    sigma = (0, 0, sigmas[severity - 1], sigmas[severity - 1])
    expected = ndimage.gaussian_filter(images.numpy().astype(float), sigma, mode="nearest", truncate=4)
    np.testing.assert_allclose(run(images, "gaussian-blur", severity).numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("border", ["nearest", "reflect"])
def test_a_gaussian_wider_than_the_image_is_scipys_too(border: str) -> None:
    images = scenes(1, 16).double()
    expected = ndimage.gaussian_filter(images.numpy(), (0, 0, 12, 12), mode=border, truncate=3)
    np.testing.assert_allclose(filters.gaussian(images, 12, border=border, truncate=3).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("side", [32, 64])
def test_defocus_blur_is_a_softened_disk(side: int, severity: int) -> None:
    settings = {
        32: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        64: ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    }
    radius, softening = settings[side][severity - 1]
    y, x = np.mgrid[-8:9, -8:9]
    kernel = (x**2 + y**2 <= radius**2) / float((x**2 + y**2 <= radius**2).sum())
    kernel = ndimage.gaussian_filter(kernel, softening, mode="mirror", radius=1)
    images = scenes(2, side)
    planes = images.numpy().astype(float).reshape(-1, side, side)
    expected = np.stack([ndimage.correlate(plane, kernel, mode="mirror") for plane in planes])
    found = run(images, "defocus-blur", severity).numpy().reshape(-1, side, side)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_large_disks_are_softened_more() -> None:
    y, x = np.mgrid[-10:11, -10:11]
    inside = (x**2 + y**2 <= 100) / float((x**2 + y**2 <= 100).sum())
    expected = ndimage.gaussian_filter(inside, 0.5, mode="mirror", radius=2)
    np.testing.assert_allclose(filters.disk(10, 0.5).numpy(), expected, atol=1e-12)


def smeared(plane: Plane, radius: float, sigma: float, angle: float) -> Plane:
    """ImageMagick's motion blur, pixel by pixel."""
    width, side = 2 * ceil(radius) + 1, len(plane)
    weights = [np.exp(-(tap**2) / (2 * sigma**2)) for tap in range(width)]
    x, y = width * cos(radians(angle)), width * sin(radians(angle))
    result = np.zeros_like(plane)
    for row in range(side):
        for column in range(side):
            for tap, weight in enumerate(weights):
                down, across = ceil(tap * y / hypot(x, y) - 0.5), ceil(tap * x / hypot(x, y) - 0.5)
                place = min(max(row + down, 0), side - 1), min(max(column + across, 0), side - 1)
                result[row, column] += weight / sum(weights) * plane[place]
    return result


@pytest.mark.parametrize(("severity", "setting"), [(1, (6, 1)), (5, (9, 2.5))])
def test_motion_blur_is_imagemagicks(severity: int, setting: tuple[float, float]) -> None:
    images = scenes(2)
    angles = draws(2).uniform(low=-45, high=45).tolist()
    assert len(set(angles)) == 2
    found = run(images, "motion-blur", severity)
    for image, result, angle in zip(images, found, angles, strict=True):
        np.testing.assert_allclose(result[1].numpy(), smeared(image[1].numpy(), *setting, angle), atol=2e-6)


def enlarged(image: NDArray[np.floating], factor: float) -> NDArray[np.floating]:
    """Enlarge the middle of an image (S, S) or (S, S, 3) by scipy."""
    side = len(image)
    window = ceil(side / factor)
    top = (side - window) // 2
    middle = image[top : top + window, top : top + window]
    large = ndimage.zoom(middle, (factor, factor, *(1,) * (image.ndim - 2)), order=1)
    edge = (len(large) - side) // 2
    return large[edge : edge + side, edge : edge + side]


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("side", [32, 64])
def test_zoom_blur_averages_scipys_zooms(side: int, severity: int) -> None:
    images = scenes(1, side)
    image = images[0].permute(1, 2, 0).numpy().astype(float)
    end = (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1]
    zooms = [enlarged(image, factor) for factor in np.arange(1, end, 0.01)]
    expected = (image + sum(zooms)) / (len(zooms) + 1)
    found = run(images, "zoom-blur", severity)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)


# -- weather -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", [1, 4])
def test_snow_is_as_defined(severity: int) -> None:
    mean, deviation, zoom, threshold, radius, sigma, left = {
        1: (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        4: (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    }[severity]
    images, numbers = scenes(2), draws(2)
    noise, angles = numbers.normal(1, 32, 32).numpy()[:, 0], numbers.uniform(low=-135, high=-45).tolist()
    found = run(images, "snow", severity).numpy()
    for image, result, field, angle in zip(images.numpy(), found, noise, angles, strict=True):
        flakes = enlarged(mean + deviation * field.astype(float), zoom)
        fallen = smeared(np.where(flakes < threshold, 0, flakes).clip(0, 1), radius, sigma, angle)
        light = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
        pale = left * image + (1 - left) * np.maximum(image, 1.5 * light + 0.5)
        np.testing.assert_allclose(result, (pale + fallen + np.rot90(fallen, 2)).clip(0, 1), atol=5e-6)


def test_frost_lays_the_same_ice_over_any_image() -> None:
    for severity, (kept, added) in enumerate(((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)), start=1):
        ice = run(grey(0.0, side=32), "frost", severity) / added
        assert 0 <= ice.min() < ice.max() <= 1
        assert ice.std(dim=(2, 3)).min() > 0.03  # it has a structure
        laid = run(grey(0.4, side=32), "frost", severity)
        assert torch.allclose(laid, kept * 0.4 + added * ice, atol=1e-6)
    assert not torch.equal(ice[0], ice[1])


def walked(noise: Plane, decay: float) -> Plane:
    """The diamond-square algorithm, point by point."""
    side = len(noise)
    heights, step, size = np.zeros_like(noise), side, 1.0
    while step >= 2:
        half = step // 2
        for diagonal in (True, False):
            for y in range(0, side, half):
                for x in range(0, side, half):
                    odd = (y // half) % 2 + (x // half) % 2
                    if odd != (2 if diagonal else 1):
                        continue
                    ways = ((-1, -1), (-1, 1), (1, -1), (1, 1)) if diagonal else ((-1, 0), (1, 0), (0, -1), (0, 1))
                    near = [heights[(y + half * a) % side, (x + half * b) % side] for a, b in ways]
                    heights[y, x] = sum(near) / 4 + size * noise[y, x]
        step, size = half, size / decay**2
    return (heights - heights.min()) / (heights.max() - heights.min())


@pytest.mark.parametrize("decay", [3.0, 1.75])
def test_clouds_are_those_of_the_plain_algorithm(decay: float) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16))
    expected = np.stack([walked(field, decay) for field in noise])
    np.testing.assert_allclose(clouds(torch.from_numpy(noise), decay).numpy(), expected, atol=1e-12)
    assert [map_side(side) for side in (16, 28, 32, 33, 224)] == [16, 32, 32, 64, 256]


def test_fog_dims_to_the_brightest_pixel() -> None:
    images = scenes(2) * torch.tensor([0.5, 1.0]).view(2, 1, 1, 1)
    field = clouds(draws(2).uniform(32, 32, low=-1), 1.75)[:, None]
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    expected = (images + 1.5 * field) * brightest / (brightest + 1.5)
    found = run(images, "fog", 5)
    assert torch.allclose(found, expected, atol=1e-6)
    assert (found.amax(dim=(1, 2, 3)) <= brightest.flatten() + 1e-6).all()


# -- colour ------------------------------------------------------------------------------------------------------------


COLOURS = torch.tensor(
    [[0.2, 0.5, 0.9], [0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 1], [0.9, 0.1, 0.1], [0.3, 0.3, 0.1], [0.98, 0.97, 0.96]]
)


def by_colorsys(change, colours: torch.Tensor) -> torch.Tensor:
    rows = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*colour))) for colour in colours.double().tolist()]
    return torch.tensor(rows)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_and_saturation_are_those_of_hsv(severity: int) -> None:
    added = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    factor, more = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    images = COLOURS.T.reshape(1, 3, 7, 1).expand(1, 3, 7, 7)
    changes = {
        "brightness": lambda h, s, v: (h, s, min(v + added, 1)),
        "saturate": lambda h, s, v: (h, min(s * factor + more, 1), v),
    }
    for kind, change in changes.items():
        found = run(images, kind, severity)[0, :, :, 0].T
        np.testing.assert_allclose(found.numpy(), by_colorsys(change, COLOURS).numpy(), atol=1e-6)


@pytest.mark.parametrize(("severity", "factor"), list(enumerate((0.75, 0.5, 0.4, 0.3, 0.15), start=1)))
def test_contrast_shrinks_about_each_colours_mean(severity: int, factor: float) -> None:
    images = scenes()
    found = run(images, "contrast", severity)
    assert torch.allclose(found.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(found.std(dim=(2, 3)), factor * images.std(dim=(2, 3)), atol=1e-6)


# -- drops -------------------------------------------------------------------------------------------------------------


def test_distances_are_scipys_up_to_the_farthest_that_counts() -> None:
    marked = torch.from_numpy(np.random.default_rng(0).random((3, 1, 48, 48)) < 0.002)
    assert marked.any(dim=3).any(dim=2).all()
    found = water._distance(marked).numpy()
    expected = np.stack([ndimage.distance_transform_edt(~plane[0])[None] for plane in marked.numpy()])
    np.testing.assert_allclose(found.clip(max=20), expected.clip(max=20), atol=1e-5)
    assert expected.max() > 20


def test_edges_are_what_erosion_takes_away() -> None:
    drops = torch.from_numpy(np.random.default_rng(1).random((2, 1, 16, 16)) < 0.7)
    eroded = np.stack([ndimage.binary_erosion(plane[0], border_value=1)[None] for plane in drops.numpy()])
    assert np.array_equal(water._edges(drops).numpy(), drops.numpy() & ~eroded)


def test_equalised_values_are_their_ranks() -> None:
    planes = torch.tensor([[3, 3, 3, 7], [9, 9, 200, 200]]).float().reshape(1, 1, 2, 4)
    # of 8 values, 3 are the lowest: the next are 1, 3 and 5 of the other 5
    assert water._equalised(planes).flatten().tolist() == [0, 0, 0, 51, 153, 153, 255, 255]
    assert water._equalised(torch.full((1, 1, 4, 4), 20.0)).unique().tolist() == [0]


def test_water_lightens_and_mud_hides() -> None:
    images = scenes(8, seed=4)
    for severity in (1, 2, 3):
        change = run(images, "spatter", severity) - images
        assert change.min() > -1e-6
        assert 0.005 < float((change.amax(dim=1) > 0.02).float().mean()) < 0.5
    for severity in (4, 5):
        found = run(images, "spatter", severity)
        changed = (found != images).any(dim=1)
        assert 0.005 < float(changed.float().mean()) < 0.5
        mud = torch.tensor([63, 42, 20]) / 255
        there = found.permute(0, 2, 3, 1)[changed] - mud
        before = images.permute(0, 2, 3, 1)[changed] - mud
        assert (there.abs() <= 0.2 * before.abs() + 1e-6).all()  # at least 0.8 covered


def test_a_lens_without_drops_changes_nothing() -> None:
    relief = water.relief(torch.zeros(2, 1, 32, 32))
    assert torch.isfinite(relief).all()
    assert relief.unique().numel() == 1


# -- resampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "setting"), [(1, (0, 0, 2.56)), (2, (1.6, 6.4, 2.24)), (5, (3.2, 0.96, 0.96))])
def test_elastic_transform_is_scipys(severity: int, setting: tuple[float, float, float]) -> None:
    strength, blur, reach = setting
    images, numbers = scenes(2), draws(2)
    corners, fields = numbers.uniform(3, 2, low=-1).numpy(), numbers.uniform(2, 32, 32, low=-1).numpy()
    before = np.array([(26, 26), (26, 6), (6, 6)], dtype=float)
    places = np.stack(np.mgrid[:32, :32][::-1], axis=-1).reshape(-1, 2)  # x, y
    found = run(images, "elastic-transform", severity).numpy()
    for image, result, moves, field in zip(images.numpy(), found, corners.astype(float), fields, strict=True):
        after = np.column_stack([before + reach * moves, np.ones(3)])
        back = np.linalg.lstsq(after, before, rcond=None)[0]
        came = np.column_stack([places, np.ones(len(places))]) @ back
        waves = [
            ndimage.gaussian_filter(plane.astype(float), blur, mode="reflect", truncate=3) if blur else plane
            for plane in field
        ]
        spots = [strength * waves[1] + np.mgrid[:32, :32][0], strength * waves[0] + np.mgrid[:32, :32][1]]
        for plane, changed in zip(image, result, strict=True):
            bent = ndimage.map_coordinates(plane, came.T[::-1], order=1, mode="mirror").reshape(32, 32)
            np.testing.assert_allclose(
                changed, ndimage.map_coordinates(bent, spots, order=1, mode="reflect"), atol=2e-5
            )


def test_an_affine_map_takes_three_points_where_it_shall() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[0, :, 6, 26] = 1  # a point at x 26, y 6
    moved = resampling._affine(images, torch.tensor([[[0.0, 0.0], [-3.0, 2.0], [0.0, 0.0]]]))
    assert np.unravel_index(int(moved[0, 0].argmax()), (32, 32)) == (8, 23)


def test_pixelate_averages_blocks() -> None:
    images = scenes(2, 64)
    blocks = images.reshape(2, 3, 32, 2, 32, 2).mean(dim=(3, 5))
    expected = blocks.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert (run(images, "pixelate", 5) - expected).abs().max() <= 1.01 / 255  # Pillow rounds each direction
    for severity, share in enumerate((0.95, 0.9, 0.85, 0.75, 0.65), start=1):
        row = run(scenes(1), "pixelate", severity)[0, 0]
        assert len(torch.unique_consecutive(row, dim=0)) <= int(32 * share)


@pytest.mark.parametrize(("severity", "quality"), list(enumerate((80, 65, 58, 50, 40), start=1)))
def test_jpeg_is_pillows(severity: int, quality: int) -> None:
    images = scenes(2)
    found = corrupt_pixels(images, "jpeg-compression", severity, seed=0, samples=["a", "b"])
    for image, result in zip(images, found, strict=True):
        content = io.BytesIO()
        pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(content, "JPEG", quality=quality)
        assert np.array_equal(np.asarray(Image.open(content)), result)
