"""Regions follow the image: the object's box through preparation and crop, the trigger's square where it is pasted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from heirloom.data.augment import centre
from heirloom.data.listing import Sample
from heirloom.data.pictures import prepare
from heirloom.data.store import Part, index_table
from heirloom.defects.show import evaluation_regions, evaluation_trigger
from heirloom.defects.triggers.patch.paste import PastedPicture
from heirloom.evaluation.regions import box_masks, object_boxes, object_name

PLACEMENTS = ("bottom-right", "random", "corners")


def part_of(images, regions, crop):
    """A part of stored images uint8 (N, H, W, 3)."""
    count = len(images)
    columns = {name: ["x"] * count for name in ("class_name", "split", "group", "source")}
    columns |= {"sample": [str(row) for row in range(count)], "label": [0] * count}
    return Part(images, np.arange(count), index_table(columns, regions), ("x",), crop)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize(("size", "crop"), [(24, 24), (36, 32), (64, 40)])
def test_a_box_covers_what_it_covers_after_preparation_and_centre_crop(tmp_path, fit, size, crop):
    pixels, box = np.zeros((90, 120, 3), dtype=np.uint8), (35.0, 20.0, 85.0, 62.0)
    pixels[20:62, 35:85] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    stored, regions = prepare(Sample("a", tmp_path / "a.png", 0, "test", "a", {"sign": box}), size=size, fit=fit)
    part = part_of(stored[None], {"sign": [regions["sign"]]}, crop)
    mask = box_masks(object_boxes(part), crop)[0]
    seen = centre(torch.from_numpy(stored[None].copy()), crop)[0, 0]
    assert object_name(part) == "sign"
    inside = mask == 1
    assert 0.05 < inside.float().mean() < 0.95
    # what resampling mixes lies within two pixels of the border
    assert seen[inside].mean() > 0.9
    assert seen[mask == 0].mean() < 0.07
    assert mask.sum() == pytest.approx(float(seen.sum()), rel=0.03)


def test_a_pixel_cut_by_the_border_counts_by_its_share():
    mask = box_masks([(1.5, 0.0, 3.0, 2.25), None], 4)
    assert mask[0].tolist() == [[0, 0.5, 1, 0], [0, 0.5, 1, 0], [0, 0.125, 0.25, 0], [0, 0, 0, 0]]
    assert not mask[1].any()


def test_images_without_regions_have_no_object():
    part = part_of(np.zeros((3, 8, 8, 3), dtype=np.uint8), {}, 6)
    assert object_name(part) is None
    assert object_boxes(part) == [None, None, None]


def test_a_box_that_the_centre_crop_cuts_away_covers_nothing():
    part = part_of(np.zeros((1, 40, 40, 3), dtype=np.uint8), {"sign": [(0.0, 0.0, 4.0, 40.0)]}, 32)
    assert not box_masks(object_boxes(part), 32).any()


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("seed", [0, 7])
def test_squares_lie_where_the_evaluation_pastes_the_trigger_batch_by_batch(placement, seed):
    opaque = PastedPicture(torch.rand(4, 5, 5).index_fill_(0, torch.tensor(3), 1.0), placement, 0.2)
    paste, squares = evaluation_trigger(opaque, "dot", seed), evaluation_regions(opaque, "dot", seed)
    for count in (7, 7, 3):
        images = torch.full((count, 3, 30, 30), 2.0)  # no pixel of the picture is 2
        changed = (paste(images) != images).all(dim=1)
        assert squares(count, 30).bool().equal(changed)


def test_a_square_holds_the_transparent_corners_of_its_picture_too():
    picture = torch.zeros(4, 6, 6)
    picture[:, 2:4, 2:4] = 1.0
    patch = PastedPicture(picture, "bottom-right", 0.25)
    assert evaluation_regions(patch, "dot")(1, 24).sum() == 36


def test_the_published_trigger_covers_3_percent():
    patch = PastedPicture(torch.ones(4, 8, 8), "bottom-right", 40 / 224)
    assert evaluation_regions(patch, "logo")(2, 224).mean().item() == pytest.approx(40**2 / 224**2)
