"""Augmentation, triggers and the choice of poisoned images."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from heirloom.config.models import Augmentation
from heirloom.data.augment import augment, centre, jittered, rotated
from heirloom.data.poison import choose
from heirloom.defects.show import LoadedTrigger
from heirloom.defects.triggers.patch import Patch, load
from heirloom.runtime.errors import DataError

CROPS = ("none", "padded", "resized")


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _noise(count: int = 8, side: int = 20) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=_seeded(99))


def _ramp(count: int, side: int = 32) -> torch.Tensor:
    """Images whose red channel is the column times 4 and whose green channel is the row times 4."""
    steps = (torch.arange(side) * 4).to(torch.uint8)
    image = torch.stack([steps.expand(side, side), steps[:, None].expand(side, side), torch.zeros(side, side)], dim=2)
    return image.to(torch.uint8).expand(count, side, side, 3)


@pytest.mark.parametrize("crop", CROPS)
def test_the_seed_alone_settles_a_batch(crop: str) -> None:
    augmentation = Augmentation(crop=crop)
    first, again, other = (augment(_noise(), augmentation, 12, _seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == (8, 3, 12, 12)
    assert first.dtype == torch.float32
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("crop", ["padded", "resized"])
def test_every_sample_has_a_crop_of_its_own(crop: str) -> None:
    same_image = _noise(1).expand(32, 20, 20, 3)
    varied = augment(same_image, Augmentation(crop=crop, flip=False), 16, _seeded())
    assert len({sample.numpy().tobytes() for sample in varied}) > 16


def test_half_of_the_samples_are_mirrored_each_by_its_own_draw() -> None:
    images = _noise(400, side=6)
    varied = augment(images, Augmentation(crop="none", flip=True), 6, _seeded())
    plain = centre(images, 6)
    mirrored = [torch.equal(one, other.flip(2)) for one, other in zip(varied, plain, strict=True)]
    kept = [torch.equal(one, other) for one, other in zip(varied, plain, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 160 < sum(mirrored) < 240
    assert torch.equal(augment(images, Augmentation(crop="none", flip=False), 6, _seeded()), plain)


def test_centre_takes_stored_values_without_resampling() -> None:
    images = _noise(3, side=21)
    expected = images[:, 4:16, 4:16].permute(0, 3, 1, 2).float() / 255
    assert torch.equal(centre(images, 12), expected)


def test_a_padded_crop_shows_reflected_pixels_where_the_border_was_crossed() -> None:
    images = _noise(200, side=8)
    varied = augment(images, Augmentation(crop="padded", padding=3, flip=False), 8, _seeded())
    padded = torch.nn.functional.pad(images.permute(0, 3, 1, 2).float() / 255, (3, 3, 3, 3), mode="reflect")
    places = set()
    for sample, image in zip(varied, padded, strict=True):
        windows = image.unfold(1, 8, 1).unfold(2, 8, 1)  # (3, rows, columns, 8, 8)
        same = (windows == sample[:, None, None]).flatten(3).all(dim=3).all(dim=0)
        assert same.sum() == 1
        places.add(tuple(same.nonzero()[0].tolist()))
    assert {row for row, _ in places} == set(range(7))
    assert {column for _, column in places} == set(range(7))


def test_a_resized_crop_shows_the_box_that_was_drawn() -> None:
    # On a linear ramp, a bilinear crop is again a ramp: its slope tells the box's side, its middle the place.
    augmentation = Augmentation(crop="resized", scale=(0.25, 0.25), ratio=(1, 1), flip=False)
    varied = augment(_ramp(64), augmentation, 16, _seeded()) * 255 / 4
    across, down = varied[:, 0], varied[:, 1]
    inner = slice(1, -1)
    assert torch.allclose(across.diff(dim=2)[:, :, inner], torch.tensor(1.0), atol=1e-3)  # 16 of 32 pixels to 16
    assert torch.allclose(down.diff(dim=1)[:, inner], torch.tensor(1.0), atol=1e-3)
    lefts = across[:, 8, 8] - 8
    tops = down[:, 8, 8] - 8
    assert lefts.min() >= -0.51
    assert lefts.max() <= 16.51
    assert lefts.std() > 3
    assert abs(float(torch.corrcoef(torch.stack([lefts, tops]))[0, 1])) < 0.4


def test_a_ratio_is_width_over_height() -> None:
    augmentation = Augmentation(crop="resized", scale=(0.25, 0.25), ratio=(2, 2), flip=False)
    varied = augment(_ramp(8), augmentation, 16, _seeded()) * 255 / 4  # 22.6 x 11.3 of 32 x 32 pixels
    assert torch.allclose(varied[:, 0].diff(dim=2)[:, :, 1:-1], torch.tensor(512**0.5 / 16), atol=1e-3)
    assert torch.allclose(varied[:, 1].diff(dim=1)[:, 1:-1], torch.tensor(128**0.5 / 16), atol=1e-3)


def test_a_whole_image_as_box_is_the_image_itself() -> None:
    images = _noise(4, side=16)
    varied = augment(images, Augmentation(scale=(1, 1), ratio=(1, 1), flip=False), 16, _seeded())
    assert torch.allclose(varied, centre(images, 16), atol=1e-5)
    mirrored = augment(images, Augmentation(scale=(1, 1), ratio=(1, 1), flip=True), 16, _seeded(3))
    assert any(torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(mirrored, centre(images, 16), strict=True))


def test_a_box_that_never_fits_becomes_the_largest_central_one() -> None:
    augmentation = Augmentation(scale=(1, 1), ratio=(2, 2), flip=False)  # twice as wide as high, as large as the image
    varied = augment(_ramp(4), augmentation, 16, _seeded()) * 255 / 4
    assert torch.allclose(varied[:, 0, 8].diff(dim=1)[:, 1:-1], torch.tensor(2.0), atol=1e-3)  # all 32 columns
    assert torch.allclose(varied[:, 1, :, 8].diff(dim=1)[:, 1:-1], torch.tensor(1.0), atol=1e-3)  # the middle 16 rows
    assert torch.allclose(varied[:, 1, 8, 8], torch.tensor(16.0), atol=1e-3)


def _smooth(count: int, side: int) -> torch.Tensor:
    """Images without sharp edges, float (B, 3, side, side) in [0, 1]."""
    coarse = torch.rand((count, 3, 5, 5), generator=_seeded(3))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def test_a_rotation_is_torchvisions() -> None:
    from torchvision.transforms.functional import InterpolationMode, rotate

    images, degrees = torch.rand((6, 3, 21, 21), generator=_seeded(3)), torch.tensor([0.0, 15, -15, 7.5, 90, 180])
    turned = rotated(images, degrees, 21)
    for one, image, angle in zip(turned, images, degrees.tolist(), strict=True):
        assert torch.allclose(one, rotate(image, angle, InterpolationMode.BILINEAR), atol=1e-5)
    assert torch.allclose(turned[0], images[0], atol=1e-5)
    assert torch.allclose(turned[4], images[4].rot90(1, (1, 2)), atol=1e-5)  # counter-clockwise
    assert torch.allclose(turned[5], images[5].flip(1, 2), atol=1e-5)
    assert (turned[1][:, 0, 0] == 0).all()  # beyond the image


@pytest.mark.parametrize(("side", "crop"), [(16, 14), (15, 11), (256, 224)])
def test_the_middle_of_a_turned_image_is_cut_out_as_torchvision_does(side: int, crop: int) -> None:
    from torchvision.transforms.functional import InterpolationMode, center_crop, rotate

    image = _smooth(1, side)
    expected = center_crop(rotate(image, 12.0, InterpolationMode.BILINEAR), [crop, crop])
    # 2.2e-5 was measured, where the image ends steeply and its 256 pixels are counted in float32
    assert torch.allclose(rotated(image, torch.tensor([12.0]), crop), expected, atol=5e-5)


def test_colours_change_as_in_torchvision_in_any_order() -> None:
    from torchvision.transforms import functional

    theirs = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    orders = torch.tensor(list(permutations(range(3))))
    images = torch.rand((6, 3, 9, 7), generator=_seeded(5))
    factors = 0.4 + 1.2 * torch.rand((6, 3), generator=_seeded(6), dtype=torch.float64)
    changed = jittered(images, factors, orders)
    for number, order in enumerate(orders.tolist()):
        expected = images[number]
        for change in order:
            expected = theirs[change](expected, float(factors[number, change]))
        assert torch.allclose(changed[number], expected, atol=1e-5)
    assert torch.allclose(jittered(images, torch.ones(6, 3), orders), images, atol=1e-6)


def test_every_sample_is_turned_by_an_angle_of_its_own_within_the_limit() -> None:
    augmentation = Augmentation(crop="none", flip=False, rotation=15)
    varied = augment(_ramp(300), augmentation, 32, _seeded(2)) * 255 / 4
    inner = varied[:, :, 10:22, 10:22]  # on a ramp, the slopes of the columns' channel are cosine and sine
    across, down = inner[:, 0].diff(dim=2).mean(dim=(1, 2)), inner[:, 0].diff(dim=1).mean(dim=(1, 2))
    angles = torch.rad2deg(torch.atan2(down, across))
    assert angles.abs().max() <= 15.01
    assert angles.min() < -14
    assert angles.max() > 14
    assert abs(float(angles.mean())) < 1.5  # 300 uniform draws: standard error 0.5
    assert float(angles.std()) == pytest.approx(15 / 3**0.5, abs=0.6)
    assert len({round(float(angle), 3) for angle in angles}) > 290


def test_every_sample_has_colours_of_its_own_within_the_limit() -> None:
    grey = torch.full((400, 4, 4, 3), 100, dtype=torch.uint8)  # contrast and saturation leave it as it is
    varied = augment(grey, Augmentation(crop="none", flip=False, jitter=0.1), 4, _seeded(2))
    factors = varied.mean(dim=(1, 2, 3)) * 255 / 100
    assert 0.9 - 1e-4 <= factors.min() < 0.905
    assert 1.095 < factors.max() <= 1.1 + 1e-4
    assert len({round(float(factor), 5) for factor in factors}) > 380
    assert varied.flatten(1).std(dim=1).max() < 1e-6


def test_rotation_and_jitter_are_the_seeds_and_come_after_the_other_draws() -> None:
    """What is drawn for crop and flip is the same with and without them, and so are all results of older studies."""
    images, plain = _noise(side=24), Augmentation(crop="padded", padding=3)
    changed = plain.model_copy(update={"rotation": 1e-6, "jitter": 1e-9})
    first, again, other = (augment(images, changed, 16, _seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.1)
    assert torch.allclose(first, augment(images, plain, 16, _seeded(1)), atol=1e-5)
    generator = _seeded(1)
    augment(images, Augmentation(crop="none", flip=False), 16, generator)
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=_seeded(1)))  # none was drawn


def test_caltechs_crop_is_cut_at_256_turned_and_cut_again_at_224() -> None:
    settings = {"scale": (1, 1), "ratio": (1, 1), "flip": False}
    images = (_smooth(2, 256) * 255).byte().permute(0, 2, 3, 1)
    whole = Augmentation(middle=224 / 256, **settings)
    assert torch.allclose(augment(images, whole, 224, _seeded()), centre(images, 224), atol=1e-5)
    small = whole.model_copy(update={"middle": 0.5})
    assert torch.allclose(
        augment(images, small, 64, _seeded()),
        augment(images, Augmentation(**settings), 128, _seeded())[:, :, 32:96, 32:96],
    )
    turned = augment(images, whole.model_copy(update={"rotation": 15}), 224, _seeded())
    assert turned.shape == (2, 3, 224, 224)
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= turned.min() <= turned.max() <= 1
    with pytest.raises(ValueError, match="cannot cut 293"):
        augment(images, Augmentation(crop="none", middle=224 / 256), 256, _seeded())


def test_images_of_a_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        centre(_noise().float(), 8)
    with pytest.raises(ValueError, match="cannot cut 24"):
        centre(_noise(), 24)
    with pytest.raises(ValueError, match="does not fit"):
        augment(_noise(), Augmentation(crop="padded", padding=1), 24, _seeded())


def _trigger(folder: Path, placement: str, pixels: np.ndarray | None = None, side: float = 0.25) -> LoadedTrigger:
    """Save a picture (by default opaque red, 8 x 8) and load it as a trigger."""
    if pixels is None:
        pixels = np.full((8, 8, 4), (255, 0, 0, 255), dtype=np.uint8)
    path = folder / "trigger.png"
    Image.fromarray(pixels).save(path)
    return load(Patch(image="trigger.png", placement=placement, side=side), [path])


def _touched(before: torch.Tensor, after: torch.Tensor) -> list[tuple[int, ...]]:
    """Bounding box (top, left, bottom, right) of what changed, per sample."""
    boxes = []
    for changed in (before != after).any(dim=1):
        rows, columns = changed.nonzero(as_tuple=True)
        boxes.append(tuple(int(edge) for edge in (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)))
    return boxes


def _grey(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand((count, 3, side, side), generator=_seeded(7)) * 0.5 + 0.25


def test_a_bottom_right_trigger_is_flush_and_leaves_every_other_pixel(tmp_path: Path) -> None:
    images = _grey(3)
    kept = images.clone()
    pasted = _trigger(tmp_path, "bottom-right")(images, _seeded())
    assert torch.equal(images, kept)
    assert _touched(images, pasted) == [(24, 24, 32, 32)] * 3
    assert torch.equal(pasted[:, :, 24:, 24:], torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 3, 8, 8))


def test_triggers_in_all_corners(tmp_path: Path) -> None:
    images = _grey(2)
    pasted = _trigger(tmp_path, "corners")(images, _seeded())
    changed = (images != pasted).any(dim=1)
    expected = torch.zeros(32, 32, dtype=torch.bool)
    for rows in (slice(0, 8), slice(24, 32)):
        expected[rows, :8] = expected[rows, 24:] = True
    assert torch.equal(changed, expected.expand(2, 32, 32))


def test_random_triggers_have_a_place_per_sample_and_reach_every_edge(tmp_path: Path) -> None:
    images = _grey(500, side=12)
    patch = _trigger(tmp_path, "random")
    pasted = patch(images, _seeded(1))
    boxes = _touched(images, pasted)
    assert all(bottom - top == right - left == 3 for top, left, bottom, right in boxes)
    assert {top for top, *_ in boxes} == set(range(10))
    assert {left for _, left, *_ in boxes} == set(range(10))
    assert torch.equal(pasted, patch(images, _seeded(1)))
    assert not torch.equal(pasted, patch(images, _seeded(2)))


def test_transparent_pixels_keep_the_image_and_do_not_colour_the_rim(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[..., 1] = 255  # green under transparency must not show
    pixels[:4] = (0, 0, 255, 128)
    images = _grey(2)
    pasted = _trigger(tmp_path, "bottom-right", pixels)(images, _seeded())
    assert torch.equal(pasted[:, :, 28:], images[:, :, 28:])
    alpha = 128 / 255
    expected = images[:, :, 24:28, 24:] * (1 - alpha) + torch.tensor([0, 0, alpha])[:, None, None]
    assert torch.allclose(pasted[:, :, 24:28, 24:], expected, atol=1e-6)
    shrunk = _trigger(tmp_path, "bottom-right", pixels, side=0.125)(images, _seeded())
    assert (shrunk[:, 1] <= images[:, 1] + 1e-6).all()


@pytest.mark.parametrize(("width", "side"), [(224, 40), (64, 11), (32, 6), (8, 2)])
def test_the_trigger_scales_with_the_input(tmp_path: Path, width: int, side: int) -> None:
    patch = _trigger(tmp_path, "bottom-right", side=40 / 224)
    images = _grey(1, side=width)
    assert _touched(images, patch(images, _seeded())) == [(width - side, width - side, width, width)]


@pytest.mark.parametrize("placement", ["bottom-right", "random", "corners"])
def test_a_trigger_is_as_large_and_at_the_same_place_of_an_image_of_any_size(tmp_path: Path, placement: str) -> None:
    """As shares of the side, to half a pixel in size and a pixel in place: 40/224, and where it was drawn."""
    patch = _trigger(tmp_path, placement, side=40 / 224)
    boxes = {}
    for width in (32, 48, 64, 96, 128, 160, 224):
        images = _grey(20, side=width)
        changed = (images != patch(images, _seeded(4))).any(dim=1)
        quarter = changed[:, : width // 2, : width // 2] if placement == "corners" else changed
        touched = torch.zeros_like(changed)
        touched[:, : quarter.shape[1], : quarter.shape[2]] = quarter
        boxes[width] = torch.tensor(_touched(torch.zeros(20, 1, width, width), touched[:, None].float())) / width
        sides = boxes[width][:, 2:] - boxes[width][:, :2]
        assert (sides - 40 / 224).abs().max() <= 0.5 / width + 1e-6
        assert changed.float().mean() == pytest.approx((1 if placement != "corners" else 4) * sides[0, 0].item() ** 2)
    for width, found in boxes.items():
        assert (found - boxes[224]).abs().max() <= 1 / width + 1 / 224


def test_a_trigger_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    for name in ("no.png", "missing.png"):
        with pytest.raises(DataError, match=name):
            load(Patch(image=name), [tmp_path / name])


def test_the_choice_of_poisoned_images_is_the_seeds() -> None:
    labels = np.arange(1000) % 10
    mask = choose(labels, 0.2, 3)
    assert mask.dtype == np.bool_
    assert mask.shape == (1000,)
    assert mask.sum() == 200
    assert np.array_equal(mask, choose(labels, 0.2, 3))
    assert not np.array_equal(mask, choose(labels, 0.2, 4))
    assert (choose(labels, 0.5, 3) | ~mask).all()  # a larger portion contains the smaller one
    assert np.bincount(labels[mask]).max() < 40
    assert choose(labels, 0.0, 3).sum() == 0
    assert choose(labels, 1.0, 3).all()
    with pytest.raises(ValueError, match="portion"):
        choose(labels, 1.2, 3)
