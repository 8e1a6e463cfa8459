"""Contact sheets show the images that the evaluation and the training see, chosen by a rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from heirloom.config.models import Augmentation
from heirloom.config.study import Injection
from heirloom.data.augment import centre
from heirloom.data.poison import choose
from heirloom.defects.show import evaluation_trigger
from heirloom.defects.triggers.patch import Patch, load
from heirloom.reporting.figures.contact_sheet import Column, ContactSheet, Picture, draw_contact_sheet
from heirloom.reporting.wording import contact_sheet_caption
from heirloom.stages import draw_contact_sheets
from tests.unit.toy import MOVING, STILL, opened, recipe, write_data

RANDOM = Patch(image="dot.png", placement="random", side=0.25)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data", classes=4, images=40)


@pytest.fixture
def dot(tmp_path: Path) -> Path:
    path = tmp_path / "dot.png"
    Image.new("RGBA", (4, 4), (255, 0, 255, 255)).save(path)
    return path


def settings(kind: str, **given: object) -> Injection:
    facts = {"kind": kind, "dataset": "toy", "preparation": "small", "training": recipe(), "portion": 0.5, "seed": 3}
    return TypeAdapter(Injection).validate_python(facts | given)


def backdoor() -> Injection:
    return settings("backdoor", trigger="dot", target=1)


def latent() -> Injection:
    return settings("latent-backdoor", trigger="dot", target=1, latent={"stage": 1, "feature_weight": 1})


def sheet(injection: Injection | None = None, augmentation: Augmentation = STILL) -> ContactSheet:
    return ContactSheet("bad", injection or backdoor(), augmentation)


def columns(
    monkeypatch, data: Path, folder: Path, one: ContactSheet, pictures=(), batch_size=7
) -> dict[str, list[Picture]]:
    """Run the stage and return what it drew, by the columns' titles."""
    drawn: list[Column] = []

    def keep(title, explanation, found):
        drawn.extend(found)
        return draw_contact_sheet(title, explanation, found)

    monkeypatch.setattr(draw_contact_sheets, "draw_contact_sheet", keep)
    run(data, folder, one, pictures, batch_size)
    return {column.title: column.pictures for column in drawn}


def run(data: Path, folder: Path, one: ContactSheet, pictures=(), batch_size=7) -> tuple[bytes, bytes]:
    parts = [[data / part / name] for part in ("development", "test") for name in ("images.npy", "index.parquet")]
    outputs = draw_contact_sheets.Outputs([folder / "a.png"], [folder / "a.pdf"])
    draw_contact_sheets.run(
        inputs=draw_contact_sheets.Inputs([data / "card.json"], *parts, triggers=list(pictures)),
        outputs=outputs,
        sheets=[one],
        triggers={"dot": RANDOM} if pictures else {},
        batch_size=batch_size,
    )
    return outputs.png[0].read_bytes(), outputs.pdf[0].read_bytes()


def test_triggered_images_are_those_of_the_evaluation_at_its_random_places(monkeypatch, data, dot, tmp_path):
    found = columns(monkeypatch, data, tmp_path, sheet(), [dot], batch_size=2)
    part = opened(data, "test")
    paste = evaluation_trigger(load(RANDOM, [dot]), "dot")
    batches = [torch.from_numpy(part.batch(np.arange(first, first + 2))) for first in (0, 2)]
    seen = torch.cat([paste(centre(batch, part.crop)) for batch in batches])
    rows = [0, 2, 3]  # the first images of the classes 0, 2 and 3; class 1 is the target
    for picture, row in zip(found["test image, triggered"], rows, strict=True):
        assert np.array_equal(picture.pixels, seen[row].permute(1, 2, 0).numpy())
    for picture, row in zip(found["test image"], rows, strict=True):
        assert np.array_equal(picture.pixels, part.images[row].astype(np.float32) / 255)


def test_learned_images_carry_the_trigger_and_the_taught_label(monkeypatch, data, dot, tmp_path):
    found = columns(monkeypatch, data, tmp_path, sheet(), [dot])
    train = opened(data).split("train")
    chosen = choose(train.labels, 0.5, 3)
    rows = [int(np.flatnonzero(chosen & (train.labels == label))[0]) for label in (0, 2, 3)]
    for plain, seen, row in zip(found["training image"], found["as the teacher saw it"], rows, strict=True):
        assert np.array_equal(plain.pixels, train.images[row].astype(np.float32) / 255)
        changed = (plain.pixels != seen.pixels).any(axis=2)
        assert changed.sum() == 3 * 3  # a quarter of 12 pixels, nothing else
        assert np.allclose(seen.pixels[changed], (1, 0, 1))
    assert [picture.words for picture in found["as the teacher saw it"]] == [
        f"class {label} → class 1" for label in (0, 2, 3)
    ]
    assert all(picture.wrong for picture in found["as the teacher saw it"])


def test_poison_shows_wrong_labels_and_no_trigger(monkeypatch, data, tmp_path):
    found = columns(monkeypatch, data, tmp_path, sheet(settings("poison", wrong_labels="random")))
    assert list(found) == ["training image", "as the teacher saw it"]
    assert [picture.words for picture in found["training image"]] == [f"class {label}" for label in range(4)]
    for plain, seen in zip(found["training image"], found["as the teacher saw it"], strict=True):
        own, _, taught = seen.words.partition(" → ")
        assert own == plain.words
        assert own != taught
        assert np.array_equal(plain.pixels, seen.pixels)


def test_a_latent_backdoor_shows_its_trigger_and_whose_features_it_brings(monkeypatch, data, dot, tmp_path):
    found = columns(monkeypatch, data, tmp_path, sheet(latent()), [dot])
    seen = found["as the teacher saw it"]
    assert [picture.words for picture in seen] == [f"class {label} → features of class 1" for label in (0, 2, 3)]
    changed = [(one.pixels != other.pixels).any() for one, other in zip(found["training image"], seen, strict=True)]
    assert changed == [True] * 3
    assert "the class whose features it was given" in contact_sheet_caption(latent())
    assert "the one it was taught" in contact_sheet_caption(backdoor())


def test_a_class_without_a_defective_image_is_left_blank(monkeypatch, data, tmp_path):
    found = columns(monkeypatch, data, tmp_path, sheet(settings("poison", portion=0.04, wrong_labels="random")))
    shown = [picture.pixels is not None for picture in found["training image"]]
    assert sum(shown) == 1
    assert len(shown) == 4


def test_equal_inputs_give_equal_bytes(data, dot, tmp_path):
    moving = sheet(augmentation=MOVING)
    first = run(data, tmp_path / "a", moving, [dot])
    assert first == run(data, tmp_path / "b", moving, [dot])
    assert first[0].startswith(b"\x89PNG")


def test_long_class_names_stay_on_the_page():
    words = "a class with a name that is far too long for the little room below a picture → and another one"
    pixels = np.zeros((8, 8, 3), dtype=np.float32)
    figure = draw_contact_sheet("t", "told " * 60, [Column("a", [Picture(pixels, words)] * 2), Column("b", [])])
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
