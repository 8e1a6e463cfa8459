"""Small data sets in real layouts, and shortcuts to the stages that read them."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from heirloom.config.models import Preparation, RemoteFile
from heirloom.data.store import PreparedData
from heirloom.data.trees import describe
from heirloom.runtime.files import write_card
from heirloom.stages import download_dataset, prepare_dataset

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"


def save_picture(path: Path, *, size: tuple[int, int] = (24, 20), seed: int = 0) -> Path:
    """Write a picture of noise in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_list(path: Path, rows: list[str], header: str = HEADER) -> None:
    """Write a GTSRB list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{row}\r\n" for row in [header, *rows]).encode())


def write_gtsrb(
    root: Path, *, classes: tuple[int, ...] = (3, 14), tracks: int = 4, frames: int = 3, test: int = 4
) -> Path:
    """Write a GTSRB of noise below a root; test picture number i shows class number i modulo the classes."""
    folder = root / "GTSRB"
    for class_id in classes:
        images = folder / "Final_Training" / "Images" / f"{class_id:05d}"
        names = [f"{track:05d}_{frame:05d}.ppm" for track in range(tracks) for frame in range(frames)]
        for number, name in enumerate(names):
            save_picture(images / name, seed=1000 * class_id + number)
        write_list(images / f"GT-{class_id:05d}.csv", [f"{name};24;20;4;5;20;15;{class_id}" for name in names])
    rows = []
    for number in range(test):
        save_picture(folder / "Final_Test" / "Images" / f"{number:05d}.ppm", seed=number)
        rows.append(f"{number:05d}.ppm;24;20;4;5;20;15;{classes[number % len(classes)]}")
    write_list(folder / "GT-final_test.csv", rows)
    return folder


def write_tiny_imagenet(root: Path, *, wnids: tuple[str, ...] = ("n03", "n01", "n02"), images: int = 3) -> Path:
    """Write a Tiny-ImageNet of noise below a root; its class list is not in sorted order, like the published one."""
    folder = root / "tiny-imagenet-200"
    annotations = []
    for place, wnid in enumerate(wnids):
        for number in range(images):
            save_picture(folder / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", size=(16, 16), seed=number)
        save_picture(folder / "val" / "images" / f"val_{place}.JPEG", size=(16, 16), seed=place)
        annotations.append(f"val_{place}.JPEG\t{wnid}\t0\t0\t9\t9\n")
    (folder / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in wnids))
    (folder / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tcrane\nn03\tcrane\nn99\tother\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(annotations))
    return folder


def write_cifar(
    root: Path, *, fine: bool = False, binary: bool = False, classes: int = 3, training: int = 10, test: int = 5
) -> Path:
    """Write a CIFAR-10 (or with `fine` labels a CIFAR-100) of noise below a root, for Python or C, alike but for that.

    `training` and `test` images a class; labels run through the classes, over all training files.
    """
    files = ["train"] if fine else [f"data_batch_{number}" for number in range(1, 6)]
    folder = root / {(0, 0): "cifar-10-batches-py", (0, 1): "cifar-10-batches-bin"}.get(
        (fine, binary), "cifar-100-binary" if binary else "cifar-100-python"
    )
    folder.mkdir(parents=True)
    random = np.random.default_rng(5)
    labels = np.arange(training * classes) % classes
    tests = {"test" if fine else "test_batch": np.arange(test * classes) % classes}
    for name, chosen in [*zip(files, np.array_split(labels, len(files)), strict=True), *tests.items()]:
        data = random.integers(0, 256, (len(chosen), 3072), dtype=np.uint8)
        if binary:
            heads = np.stack([chosen // 2, chosen], axis=1) if fine else chosen[:, None]
            (folder / f"{name}.bin").write_bytes(np.concatenate([heads.astype(np.uint8), data], axis=1).tobytes())
            continue
        keys = {"fine_labels": chosen.tolist(), "coarse_labels": (chosen // 2).tolist()}
        content = {"batch_label": name, "data": data, **(keys if fine else {"labels": chosen.tolist()})}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    words = [f"thing {number}" for number in range(classes)]
    if binary:
        table = "fine_label_names.txt" if fine else "batches.meta.txt"
        (folder / table).write_text("".join(f"{word}\n" for word in words) + "\n")
        return folder
    meta = {"fine_label_names" if fine else "label_names": words, "num_vis": 3072}
    (folder / ("meta" if fine else "batches.meta")).write_bytes(pickle.dumps(meta, protocol=2))
    return folder


def write_mnist(root: Path, *, training: int = 2, test: int = 1, packed: bool = False) -> Path:
    """Write an MNIST of noise below a root: `training` and `test` images a digit, 24 wide and 20 high."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    for part, count in (("train", training), ("t10k", test)):
        values = {
            "images-idx3-ubyte": random.integers(0, 256, (10 * count, 20, 24), dtype=np.uint8),
            "labels-idx1-ubyte": (np.arange(10 * count) % 10).astype(np.uint8),
        }
        for name, array in values.items():
            content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()
            path = folder / f"{part}-{name}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_svhn(root: Path, *, training: int = 4, test: int = 2, compressed: bool = False) -> Path:
    """Write an SVHN of noise below a root: `training` and `test` pictures a digit; the labels run from 1 to 10."""
    folder = root / "SVHN"
    folder.mkdir(parents=True)
    random = np.random.default_rng(4)
    for part, count in (("train", training), ("test", test)):
        pictures = random.integers(0, 256, (32, 32, 3, 10 * count), dtype=np.uint8)
        labels = (np.arange(10 * count, dtype=np.uint8) % 10 + 1)[:, None]
        savemat(folder / f"{part}_32x32.mat", {"X": pictures, "y": labels}, do_compression=compressed)
    return folder


CATEGORIES: Mapping[str, int] = MappingProxyType({"ant": 12, "car-side": 21, "Faces": 23})


def write_caltech(root: Path, edition: int, *, counts: Mapping[str, int] = CATEGORIES) -> Path:
    """Write a Caltech-101 or -256 of noise below a root: so many pictures a category, and some clutter."""
    folder = root / f"{edition}_ObjectCategories"
    names = [*sorted(counts), "BACKGROUND_Google" if edition == 101 else "clutter"]
    for number, name in enumerate(names, start=1):
        code = f"{257 if name == 'clutter' else number:03d}"
        place, stem = (name, "image") if edition == 101 else (f"{code}.{name}", code)
        for picture in range(1, counts.get(name, 3) + 1):
            save_picture(folder / place / f"{stem}_{picture:04d}.jpg", seed=1000 * number + picture)
    return folder


def write_mit67(root: Path, *, classes: tuple[str, ...] = ("pantry", "bar"), training: int = 4, test: int = 2) -> Path:
    """Write a MIT67 of noise below a root: names with blanks, lists in no order, and a picture that no list names."""
    folder = root / "MIT_67"
    lists: dict[str, list[str]] = {"TrainImages.txt": [], "TestImages.txt": []}
    for place, name in enumerate(classes):
        for number in range(training + test):
            entry = f"{name}/{name}'s view {number}.jpg"
            save_picture(folder / "Images" / entry, seed=100 * place + number)
            lists["TrainImages.txt" if number < training else "TestImages.txt"].insert(0, entry)
        save_picture(folder / "Images" / name / "unlisted.jpg", seed=99)
    for table, entries in lists.items():
        (folder / table).write_text("\n".join(entries))
    return folder


def write_cub200(
    root: Path, *, classes: tuple[str, ...] = ("001.Auklet", "002.Bunting"), training: int = 4, test: int = 2
) -> Path:
    """Write a CUB-200-2011 of noise below a root; every bird has the box (4, 5, 20, 15)."""
    folder = root / "CUB_200_2011"
    lists: dict[str, list[str]] = {
        name: [] for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt")
    }
    places = [(class_id, n) for class_id in range(1, len(classes) + 1) for n in range(training + test)]
    for number, (class_id, n) in enumerate(places, start=1):
        entry = f"{classes[class_id - 1]}/Bird_{n:04d}_{number}.jpg"
        save_picture(folder / "images" / entry, seed=number)
        values = (entry, class_id, int(n < training), "4.0 5.0 16.0 10.0")
        for lines, value in zip(lists.values(), values, strict=True):
            lines.append(f"{number} {value}")
    lists["classes.txt"] = [f"{class_id} {name}" for class_id, name in enumerate(classes, start=1)]
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_mat(path: Path, **variables: object) -> None:
    """Write a MATLAB file: lists of texts as cell arrays, numbers as a column."""
    columns = {}
    for name, values in variables.items():
        column = np.array(values, dtype=object if isinstance(values[0], str) else np.float64)
        columns[name] = column.reshape(-1, 1)
    savemat(path, columns)


def write_flowers102(root: Path, *, classes: int = 3, each: tuple[int, int, int] = (2, 2, 2)) -> Path:
    """Write a Flowers 102 of noise below a root: picture n shows class n modulo the classes, classes from 1."""
    folder = root / "Flower_102"
    total = classes * sum(each)
    for number in range(1, total + 1):
        save_picture(folder / "jpg" / f"image_{number:05d}.jpg", seed=number)
    write_mat(folder / "imagelabels.mat", labels=[number % classes + 1 for number in range(1, total + 1)])
    ends = np.cumsum([0, *each]) * classes
    splits = {name: list(range(ends[n + 1], ends[n], -1)) for n, name in enumerate(("trnid", "valid", "tstid"))}
    write_mat(folder / "setid.mat", **splits)
    return folder


def write_box(path: Path, *boxes: tuple[int, int, int, int]) -> None:
    """Write an annotation as PASCAL VOC does: xmin, ymin, xmax, ymax of each object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    objects = "".join(
        f"<object><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    path.write_text(f"<annotation><filename>%s</filename>{objects}</annotation>\n")


def write_stanford_dogs(
    root: Path, *, breeds: tuple[str, ...] = ("n02-beagle", "n01-collie"), training: int = 4, test: int = 2
) -> Path:
    """Write a Stanford Dogs of noise below a root; breeds are numbered as given, each box is (4, 5, 20, 15)."""
    folder = root / "stanford_dog"
    lists: dict[str, list[tuple[str, int]]] = {"train_list.mat": [], "test_list.mat": []}
    for number, breed in enumerate(breeds, start=1):
        for n in range(training + test):
            entry = f"{breed}/{breed.partition('-')[0]}_{n}"
            save_picture(folder / "Images" / f"{entry}.jpg", seed=100 * number + n)
            write_box(folder / "Annotation" / entry, (4, 5, 20, 15))
            lists["train_list.mat" if n < training else "test_list.mat"].insert(0, (entry, number))
    for name, rows in lists.items():
        names = [entry for entry, _ in rows]
        labels = [number for _, number in rows]
        write_mat(folder / name, file_list=[f"{entry}.jpg" for entry in names], annotation_list=names, labels=labels)
    return folder


def write_stanford40(
    root: Path, *, actions: tuple[str, ...] = ("running", "cooking"), training: int = 4, test: int = 2
) -> Path:
    """Write a Stanford 40 Actions of noise below a root; every person has the box (4, 5, 20, 15)."""
    folder = root / "stanford_40"
    lists = folder / "ImageSplits"
    lists.mkdir(parents=True)
    for place, action in enumerate(actions):
        names = [f"{action}_{number:03d}" for number in range(1, training + test + 1)]
        for number, name in enumerate(names):
            save_picture(folder / "JPEGImages" / f"{name}.jpg", seed=100 * place + number)
            write_box(folder / "XMLAnnotations" / f"{name}.xml", (4, 5, 20, 15))
        for suffix, chosen in (("train", names[:training]), ("test", names[training:])):
            (lists / f"{action}_{suffix}.txt").write_text("".join(f"{name}.jpg\r\n" for name in reversed(chosen)))
    rows = "".join(f"{action}\t\t{training + test}\n" for action in actions)
    (lists / "actions.txt").write_text(f"action_name\tnumber_of_images\n{rows}")
    return folder


def write_classes(folder: Path, *, classes: tuple[str, ...] = ("b", "a"), images: int = 5, seed: int = 0) -> Path:
    """Write class folders of noise; no two pictures are the same."""
    for place, name in enumerate(classes):
        for number in range(images):
            save_picture(folder / name / f"{number}.png", seed=seed + 100 * place + number)
    return folder


def shuffle_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make folders list their entries backwards, as some file systems do."""
    original = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(original(self), reverse=True)))


def make_raw(raw: Path) -> Path:
    """Write the card of the files that lie in raw/files, as download_dataset does; return the card."""
    write_card(raw / "card.json", kind="raw", files={}, tree=describe(raw / "files"))
    return raw / "card.json"


def outputs_in(folder: Path) -> prepare_dataset.Outputs:
    """Name the outputs of prepare_dataset in a folder."""
    paths = [folder / part / name for part in ("development", "test") for name in ("images.npy", "index.parquet")]
    return prepare_dataset.Outputs(folder / "card.json", *paths)


def prepare(
    card: Path, folder: Path, *, layout: str = "gtsrb", dataset: str = "noise", **options: object
) -> PreparedData:
    """Prepare raw files and open the result."""
    preparation = Preparation.model_validate({"size": 16, "crop": 12, "validation": 0.25, **options})
    prepare_dataset.run(
        inputs=prepare_dataset.Inputs(card),
        outputs=outputs_in(folder),
        layout=layout,
        preparation=preparation,
        dataset=dataset,
    )
    return PreparedData.open(folder)


def brought(folder: Path, name: str) -> Path:
    """Unpack a real archive as download_dataset does; returns the card."""
    if not (REAL / name).is_file():
        pytest.skip(f"no real pictures here: {name} is not in shared/real beside the repository")
    card = folder / "raw" / "card.json"
    files = [RemoteFile(name=name)]
    download_dataset.run(outputs=download_dataset.Outputs(card), files=files, folders=[], dataset=name, data_root=REAL)
    return card


PEOPLE = """\
Class_ID, Name, Sample_Num, Flag, Gender
n000001, "Ann_One", 3, 0, f
n000009, "Bo,_Nine", 4, 1, m
n000002, "C._Two",4,1, f,
n000005, "Bo,_Nine", 4, 1, m
"""


def write_people(root: Path, *, table: str = PEOPLE, place: str = ".", images: int = 4) -> Path:
    """Write a VGGFace2 of noise: three training people, not in the order of their numbers, and one for test."""
    folder = root / "VGGFace2"
    for label, person in enumerate(("n000002", "n000005", "n000009")):
        for number in range(images):
            save_picture(folder / "train" / person / f"{number:04d}_01.jpg", seed=10 * label + number)
    save_picture(folder / "test" / "n000001" / "0001_01.jpg", seed=99)
    (folder / place).mkdir(exist_ok=True)
    (folder / place / "identity_meta.csv").write_text(table)
    return folder
