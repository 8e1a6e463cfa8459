"""How a picture becomes an array: what a file may hold besides plain pixels (docs/datasets.md), and names of files."""

from __future__ import annotations

import io
import logging
import os
import shutil
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heirloom.data.layouts import folder, gtsrb
from heirloom.data.listing import Sample
from heirloom.data.pictures import PictureDecoder, prepare
from heirloom.defects.triggers.patch import Patch, load
from heirloom.runtime.errors import DataError, plain
from heirloom.runtime.logs import open_log
from tests.unit.data_samples import make_raw, save_picture, write_classes
from tests.unit.data_samples import prepare as prepare_set

SIDE = 12
LEFT = np.zeros((SIDE, SIDE, 3), np.uint8)
LEFT[:, : SIDE // 2] = 200  # bright on its left


def sample(path: Path, **facts: object) -> Sample:
    """A test picture without regions, unless they are given."""
    return Sample(path=path, identifier=path.name, label=0, group=path.name, part="test", **facts)  # type: ignore[arg-type]


def read(path: Path, **facts: object) -> np.ndarray:
    """A picture's array at its own size."""
    array, _ = prepare(sample(path, **facts), size=SIDE, fit="crop")
    return array


def refusal(path: Path) -> str:
    """What is said of a picture that is refused."""
    decoder = PictureDecoder(SIDE, "crop")
    list(decoder.decode([sample(path)]))
    (problem,) = decoder.problems
    return problem


MODES = {
    "png": ("RGB", "L", "1", "P"),
    "jpg": ("RGB", "L", "CMYK"),
    "tif": ("RGB", "L", "1", "P", "CMYK"),
    "bmp": ("RGB", "L", "1", "P"),
    "ppm": ("RGB", "L", "1"),
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_a_plain_picture_is_what_pil_alone_makes_of_it(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (31, 40, 3), dtype=np.uint8)).convert(mode)
    picture.save(path)
    with Image.open(path) as opened:
        box = (4.5, 0.0, 35.5, 31.0)
        expected = opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    assert np.array_equal(read(path), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(LEFT)
    # the inverse of what each orientation asks for
    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    if orientation in ways:
        stored = stored.transpose(ways[orientation])
    notes = Image.Exif()
    notes[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=notes)
    assert np.array_equal(read(tmp_path / "a.png"), LEFT)


def test_a_picture_with_regions_keeps_its_pixels_in_place(tmp_path: Path) -> None:
    notes = Image.Exif()
    notes[0x0112] = 3
    Image.fromarray(LEFT).save(tmp_path / "a.png", exif=notes)
    array, regions = prepare(sample(tmp_path / "a.png", regions={"sign": (0, 0, 6, 12)}), size=SIDE, fit="crop")
    assert np.array_equal(array, LEFT)
    assert regions == {"sign": (0, 0, 6, 12)}


def test_damaged_notes_of_a_camera_say_nothing(tmp_path: Path) -> None:
    Image.fromarray(LEFT).save(tmp_path / "a.jpg", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - LEFT).max() < 20


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_whatever_colour_it_hides(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.concatenate([LEFT, np.where(LEFT[..., :1] > 0, 255, 0).astype(np.uint8)], axis=2))
    picture.convert(mode).save(tmp_path / "a.png")
    array = read(tmp_path / "a.png")
    assert (array[:, SIDE // 2 :] == 255).all()
    assert (array[:, : SIDE // 2] == 200).all()


def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path) -> None:
    Image.fromarray(LEFT).convert("RGBA").save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), LEFT)


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(LEFT), Image.fromarray(255 - LEFT)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert "2 frames" in refusal(tmp_path / f"a.{suffix}")


def test_grey_of_sixteen_bits_is_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(LEFT[..., 0].astype(np.uint16) * 257).save(tmp_path / "a.png")
    assert "I;16" in refusal(tmp_path / "a.png")


def test_of_sixteen_bits_a_colour_the_upper_eight_are_kept(tmp_path: Path) -> None:
    rows = (LEFT.astype(np.uint16) * 256 + 255).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))
    assert np.array_equal(read(tmp_path / "a.png"), LEFT)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG: length, kind, content, checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_triggers_picture_of_several_frames_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(LEFT), Image.fromarray(255 - LEFT)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="2 frames"):
        load(Patch(image="a.gif", side=0.1, placement="random"), [tmp_path / "a.gif"])


@pytest.mark.timeout(20)
def test_a_pipe_under_a_pictures_name_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert "pipe" in refusal(tmp_path / "x.png")


@pytest.mark.timeout(20)
def test_a_pipe_in_a_users_folder_is_named(tmp_path: Path) -> None:
    base = write_classes(tmp_path / "set", classes=("a", "b"), images=4)
    os.mkfifo(base / "a" / "x.png")
    listed = folder.read(tmp_path)
    decoder = PictureDecoder(SIDE, "crop")
    list(decoder.decode(listed.samples))
    assert [problem for problem in (*listed.problems, *decoder.problems) if "x.png" in problem]


SPELLINGS = [unicodedata.normalize(form, "Ampelmännchen") for form in ("NFC", "NFD")]


def test_a_class_has_one_name_in_either_spelling(tmp_path: Path) -> None:
    assert SPELLINGS[0] != SPELLINGS[1]
    for part, spelling in zip(("train", "test"), SPELLINGS, strict=True):
        for name in (spelling, "other"):
            save_picture(tmp_path / "set" / part / name / "0.png", seed=len(part + name))
    listed = folder.read(tmp_path)
    assert listed.problems == ()
    assert listed.classes == (SPELLINGS[0], "other")
    assert {each.part for each in listed.samples if each.label == 0} == {"development", "test"}


def test_two_spellings_side_by_side_are_reported(tmp_path: Path) -> None:
    for spelling in SPELLINGS:
        for number in range(3):
            save_picture(tmp_path / "set" / spelling / f"{number}.png", seed=number)
    for number in range(3):
        save_picture(tmp_path / "set" / "other" / f"{number}.png", seed=10 + number)
    (problem,) = folder.read(tmp_path).problems
    assert "Unicode" in problem


@pytest.mark.parametrize("name", ["\u0660\u0660\u0660\u0660\u0661", "\u0966\u0966\u0966\u0967\u0968"])
def test_a_class_folder_of_other_digits_is_no_class_of_gtsrb(tmp_path: Path, name: str) -> None:
    save_picture(tmp_path / name / "0.ppm")
    with pytest.raises(DataError):
        gtsrb._class_ids(tmp_path)


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b", "\u202e", "\u200f", "\u2028", "\x9b", "\udcff"])
def test_a_files_name_forges_no_line_and_turns_none(sign: str) -> None:
    told = str(DataError(f"a{sign}b", details=[f"c{sign}d"], where=f"e{sign}f", mend=f"g{sign}h"))
    assert len(told.splitlines()) == 4
    assert sign not in told.replace("\n", "") if sign == "\n" else sign not in told
    told.encode()


@pytest.mark.parametrize(
    "name", ["Straße", "красный", "止まれ", "a b\u00a0c", "naïve", "می\u200cکشم", "क्\u200dष", "👩\u200d🔬"]
)
def test_other_names_are_shown_as_they_are(name: str) -> None:
    assert plain(name) == name


def drawn_as_test(root: Path, form: str) -> set[str]:
    """The pictures that the rule makes the test part of a folder whose names are spelled in a form of Unicode."""
    for number in range(20):
        name = unicodedata.normalize(form, f"é{number}.png")
        save_picture(root / "ab"[number % 2] / name, seed=number)
    return {each.identifier for each in folder.read(root).samples if each.part == "test"}


def test_the_spelling_of_names_on_a_disk_changes_no_split(tmp_path: Path) -> None:
    assert drawn_as_test(tmp_path / "composed", "NFC") == drawn_as_test(tmp_path / "decomposed", "NFD")


def test_two_spellings_of_a_pictures_name_are_reported(tmp_path: Path) -> None:
    base = write_classes(tmp_path / "set", classes=("a", "b"), images=4)
    for number, form in enumerate(("NFC", "NFD")):
        save_picture(base / "a" / unicodedata.normalize(form, "é.png"), seed=500 + number)
    (problem,) = folder.read(tmp_path).problems
    assert "Unicode" in problem


def test_a_classs_name_carries_nothing_into_tables_that_a_terminal_obeys(tmp_path: Path) -> None:
    write_classes(tmp_path / "set", classes=("a\n\x1b[31m\u202e", "b"), images=4)
    listed = folder.read(tmp_path)
    assert listed.problems == ()
    assert listed.classes == ("a\\n\\x1b[31m\\u202e", "b")


def test_a_log_gives_a_name_no_line_of_its_own_and_a_refusal_its_lines(tmp_path: Path) -> None:
    refused = DataError("a\nb", where="c", mend="d")
    with open_log(tmp_path / "log"):
        logging.getLogger("heirloom").warning("%s: found", "e\n00:00:00 INFO f\x1b\u202e")
        logging.getLogger("heirloom").error("%s", refused)
    first, *others = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert first.endswith("e\\n00:00:00 INFO f\\x1b\\u202e: found")
    assert len(others) == 3


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's own folder of class folders, which the raw files of a data set are a link to."""
    (tmp_path / "raw" / "files").mkdir(parents=True)
    base = write_classes(tmp_path / "mine", images=10)
    (tmp_path / "raw" / "files" / "named").symlink_to(base, target_is_directory=True)
    make_raw(tmp_path / "raw")
    return base


def spoil(base: Path) -> None:
    next(base.rglob("*.png")).write_bytes(b"")


def lose_a_class(base: Path) -> None:
    for child in sorted(base.iterdir())[1:]:
        shutil.rmtree(child)


def lose_a_picture(base: Path) -> None:
    next(base.rglob("*.png")).unlink()


@pytest.mark.parametrize("fault", [spoil, lose_a_class, lose_a_picture])
def test_advice_about_a_users_own_folder_names_it_and_no_archive(own: Path, tmp_path: Path, fault: object) -> None:
    fault(own)  # type: ignore[operator]
    with pytest.raises(DataError) as refused:
        prepare_set(tmp_path / "raw" / "card.json", tmp_path / "prepared", layout="folder")
    told = refused.value
    assert told.where.startswith(str(own))
    assert f"delete {tmp_path / 'raw'} and run again" in told.mend
    assert "archive" not in str(told)


def test_a_cut_picture_is_still_a_broken_one(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(content, "JPEG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue()[:1000])
    assert refusal(tmp_path / "a.jpg")
