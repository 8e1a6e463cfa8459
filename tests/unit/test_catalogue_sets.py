"""The catalogue's published sets: archives in their owners' shape come from a server, unpack together and are read."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from heirloom.config.kinds import CORRUPTED_LAYOUTS, LAYOUTS
from heirloom.config.load import load_catalogue
from heirloom.config.models import Files, RemoteFile
from heirloom.data.archives import is_archive
from heirloom.data.listing import Listing
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_card
from heirloom.stages import download_dataset
from tests.server import Place, Server, running
from tests.unit.data_samples import (
    write_caltech,
    write_cifar,
    write_classes,
    write_cub200,
    write_flowers102,
    write_gtsrb,
    write_mit67,
    write_mnist,
    write_people,
    write_stanford40,
    write_stanford_dogs,
    write_svhn,
    write_tiny_imagenet,
)

BEHIND_A_FORM = {"vggface2"}  # their owners give no address that a program could follow
CATALOGUE = load_catalogue([Path(__file__).parents[2] / "config"]).datasets
CORRUPTED = {name: entry for name, entry in CATALOGUE.items() if entry.layout in CORRUPTED_LAYOUTS.names()}
Tree = Mapping[str, bytes]  # member of an archive -> its content


def tree(folder: Path, *, within: str = "", below: str = ".") -> dict[str, bytes]:
    """Read the files below folder/below under their names relative to the folder, in a folder `within`."""
    files = (path for path in sorted((folder / below).rglob("*")) if path.is_file())
    return {str(Path(within, path.relative_to(folder))): path.read_bytes() for path in files}


def packed(name: str, members: Tree) -> bytes:
    """Pack members into an archive of the kind that its name says."""
    content = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(content, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return content.getvalue()
    with tarfile.open(fileobj=content, mode="w:gz" if name.endswith("gz") else "w") as archive:
        for member, data in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def gtsrb(root: Path) -> dict[str, Tree]:
    """Three archives: two in GTSRB/, the labels on their own. Beside the test pictures lies a list without classes."""
    write_gtsrb(root)
    test = tree(root, below="GTSRB/Final_Test")
    unlabelled = {
        "GTSRB/Final_Test/Images/GT-final_test.test.csv": b"Filename;Width\r\n",
        "GTSRB/Readme-test.txt": b"x",
    }
    return {
        "GTSRB_Final_Training_Images.zip": tree(root, below="GTSRB/Final_Training") | {"GTSRB/Readme-Images.txt": b"x"},
        "GTSRB_Final_Test_Images.zip": test | unlabelled,
        "GTSRB_Final_Test_GT.zip": {"GT-final_test.csv": (root / "GTSRB" / "GT-final_test.csv").read_bytes()},
    }


def mit67(root: Path) -> dict[str, Tree]:
    """The archive holds Images alone; the lists lie beside it."""
    folder = write_mit67(root)
    lists = {name: {name: (folder / name).read_bytes()} for name in ("TrainImages.txt", "TestImages.txt")}
    return {"indoorCVPR_09.tar": tree(folder, below="Images"), **lists}


def cub200(root: Path) -> dict[str, Tree]:
    """One archive with a list of attributes beside the folder."""
    write_cub200(root)
    return {"CUB_200_2011.tgz": tree(root) | {"attributes.txt": b"1 has_bill_shape::curved\n"}}


def vggface2(root: Path) -> dict[str, Tree]:
    """The training people's archive, and the list of all people beside it."""
    folder = write_people(root)
    return {
        "vggface2_train.tar.gz": tree(folder, below="train"),
        "identity_meta.csv": {"identity_meta.csv": (folder / "identity_meta.csv").read_bytes()},
    }


def cifar(root: Path, name: str) -> dict[str, Tree]:
    """One archive, with a page beside the batches."""
    folder = write_cifar(root, fine=name == "cifar-100-python.tar.gz")
    return {name: tree(root) | {f"{folder.name}/readme.html": b"x"}}


def mnist(root: Path) -> dict[str, Tree]:
    """Four packed files, which are no archives."""
    folder = write_mnist(root, packed=True)
    return {path.name: {path.name: path.read_bytes()} for path in folder.iterdir()}


def svhn(root: Path) -> dict[str, Tree]:
    """Two MATLAB files, which are no archives."""
    return {path.name: {path.name: path.read_bytes()} for path in write_svhn(root, compressed=True).iterdir()}


def caltech101(root: Path) -> dict[str, Tree]:
    """An archive of archives, with what macOS adds; the outlines are another one, which is not asked for."""
    write_caltech(root, 101)
    within = {
        "caltech-101/101_ObjectCategories.tar.gz": packed("101_ObjectCategories.tar.gz", tree(root)),
        "caltech-101/Annotations.tar": packed("Annotations.tar", {"Annotations/ant/annotation_0001.mat": b"x"}),
        "__MACOSX/caltech-101/._101_ObjectCategories.tar.gz": b"x",
    }
    return {"caltech-101.zip": within}


def caltech256(root: Path) -> dict[str, Tree]:
    """One archive, in which the owners left a script."""
    write_caltech(root, 256)
    return {"256_ObjectCategories.tar": tree(root) | {"256_ObjectCategories/002.ant/RENAME2": b"x"}}


def pubfig83(root: Path) -> dict[str, Tree]:
    return {"pubfig83.v1.tgz": tree(write_classes(root / "faces"), within="pubfig83")}


def tiny_imagenet(root: Path) -> dict[str, Tree]:
    """One archive, whose test pictures have no labels."""
    write_tiny_imagenet(root)
    return {"tiny-imagenet-200.zip": tree(root) | {"tiny-imagenet-200/test/images/test_0.JPEG": b"x"}}


def flowers102(root: Path) -> dict[str, Tree]:
    """The archive holds jpg alone; the lists lie beside it."""
    folder = write_flowers102(root)
    lists = {name: {name: (folder / name).read_bytes()} for name in ("imagelabels.mat", "setid.mat")}
    return {"102flowers.tgz": tree(folder, below="jpg"), **lists}


def stanford_dogs(root: Path) -> dict[str, Tree]:
    """Three archives without a folder round them, and a list of everything."""
    folder = write_stanford_dogs(root)
    lists = {path.name: path.read_bytes() for path in folder.glob("*.mat")}
    return {
        "images.tar": tree(folder, below="Images"),
        "annotation.tar": tree(folder, below="Annotation"),
        "lists.tar": lists | {"file_list.mat": b"x"},
    }


def stanford40(root: Path) -> dict[str, Tree]:
    """Two archives; the boxes are a third, which is not asked for. Lists of all actions lie among the others."""
    folder = write_stanford40(root)
    return {
        "Stanford40_JPEGImages.zip": tree(folder, below="JPEGImages"),
        "Stanford40_ImageSplits.zip": tree(folder, below="ImageSplits") | {"ImageSplits/train.txt": b"x.jpg\n"},
    }


SETS = {
    "gtsrb": gtsrb,
    "mit67": mit67,
    "cub200": cub200,
    "flowers102": flowers102,
    "stanford-dogs": stanford_dogs,
    "stanford40": stanford40,
    "pubfig83": pubfig83,
    "vggface2": vggface2,
    "tiny-imagenet": tiny_imagenet,
    "cifar10": lambda root: cifar(root, "cifar-10-python.tar.gz"),
    "cifar100": lambda root: cifar(root, "cifar-100-python.tar.gz"),
    "mnist": mnist,
    "svhn": svhn,
    "caltech101": caltech101,
    "caltech256": caltech256,
}


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def files_of(dataset: str) -> tuple[RemoteFile, ...]:
    source = CATALOGUE[dataset].source
    assert isinstance(source, Files)
    return source.files


def served(server: Server, dataset: str, archives: Mapping[str, Tree]) -> list[RemoteFile]:
    """Serve archives, and point the catalogue's files to them; the drawn ones cannot have the published checksums."""
    for name, members in archives.items():
        server.places[f"/{name}"] = Place(packed(name, members) if is_archive(name) else members[name])
    unchecked = {"sha256": None, "md5": None}
    return [file.model_copy(update={"urls": (server.url(f"/{file.name}"),), **unchecked}) for file in files_of(dataset)]


@pytest.mark.parametrize("dataset", SETS)
def test_the_owners_archives_are_read_together(server: Server, tmp_path: Path, dataset: str) -> None:
    files = served(server, dataset, SETS[dataset](tmp_path / "drawn"))
    card = tmp_path / "results" / "shared" / "data" / dataset / "raw" / "card.json"
    record = tmp_path / "checksums.lock"
    outputs = download_dataset.Outputs(card)
    download_dataset.run(outputs=outputs, files=files, folders=[], dataset=dataset, checksums=record)
    assert [archive["name"] for archive in read_card(card)["archives"]] == [file.name for file in files_of(dataset)]
    read = LAYOUTS.load(CATALOGUE[dataset].layout).read
    listed: Listing = read(card.parent / "files")
    assert listed.problems == ()
    assert len(listed.classes) == len({sample.label for sample in listed.samples}) >= 2
    assert {sample.part for sample in listed.samples} == {"development", "test"}
    before, requests = card.read_bytes(), len(server.requests)
    card.unlink()
    download_dataset.run(outputs=outputs, files=files, folders=[], dataset=dataset, checksums=record)
    assert card.read_bytes() == before
    assert len(server.requests) == requests == len(files)


def test_every_published_set_has_an_address_for_each_file_or_says_how_to_get_it() -> None:
    published = {name for name, entry in CATALOGUE.items() if isinstance(entry.source, Files)}
    assert published == SETS.keys() | CORRUPTED.keys() | {name for name in published if name.endswith("-sample")}
    assert all(file.urls for name in (SETS.keys() | CORRUPTED.keys()) - BEHIND_A_FORM for file in files_of(name))
    sources = [CATALOGUE[name].source for name in sorted(BEHIND_A_FORM)]
    assert all(isinstance(source, Files) and source.instructions for source in sources)


def test_sets_are_prepared_unless_they_are_corrupted_images_of_others() -> None:
    assert CORRUPTED.keys() == {"cifar10-c", "cifar100-c", "tiny-imagenet-c"}
    assert {name for name, entry in CATALOGUE.items() if not entry.preparations} == CORRUPTED.keys()
    assert {entry.layout for name, entry in CATALOGUE.items() if name not in CORRUPTED} <= set(LAYOUTS.names())


def test_published_checksums_are_those_of_torchvision() -> None:
    folder = Path(next(iter(find_spec("torchvision").submodule_search_locations))) / "datasets"
    checked = [file for entry in CATALOGUE.values() if isinstance(entry.source, Files) for file in entry.source.files]
    assert len([file for file in checked if file.md5]) >= 15
    for file in checked:
        if file.md5:
            source = (folder / Path(file.md5_source.rpartition(" ")[2]).name).read_text()
            assert file.md5 in source, file.name


def test_samples_share_no_file_and_no_folder_with_whole_sets() -> None:
    sources = {name: entry.source for name, entry in CATALOGUE.items() if isinstance(entry.source, Files)}
    named = [name for source in sources.values() for name in (*source.folders, *(f.name for f in source.files))]
    assert len(named) == len(set(named))


def test_an_archive_within_an_archive_is_unpacked_and_removed_or_missed(server: Server, tmp_path: Path) -> None:
    (file,) = served(server, "caltech101", caltech101(tmp_path / "drawn"))
    card = tmp_path / "results" / "shared" / "data" / "x" / "raw" / "card.json"
    run = partial(download_dataset.run, outputs=download_dataset.Outputs(card), folders=[], dataset="x")
    run(files=[file], checksums=tmp_path / "checksums.lock")
    assert sorted(path.name for path in (card.parent / "files" / "caltech-101").iterdir()) == [
        "101_ObjectCategories",
        "Annotations.tar",
    ]
    card.unlink()
    wrong = file.model_copy(update={"inner": ("caltech-101/102_ObjectCategories.tar.gz",)})
    with pytest.raises(DataError, match=r"caltech-101\.zip holds no archive caltech-101/102_Object"):
        run(files=[wrong], checksums=tmp_path / "checksums.lock")
    assert not card.exists()


def test_an_archive_within_an_archive_is_trusted_no_more_than_its_shell(server: Server, tmp_path: Path) -> None:
    harm = packed("x.tar", {"../../../../escaped": b"x"})
    server.places["/x.zip"] = Place(packed("x.zip", {"a/x.tar": harm}))
    card = tmp_path / "results" / "shared" / "data" / "x" / "raw" / "card.json"
    with pytest.raises(DataError, match="its path leads out of the archive"):
        download_dataset.run(
            outputs=download_dataset.Outputs(card),
            files=[RemoteFile(name="x.zip", urls=(server.url("/x.zip"),), inner=("a/x.tar",))],
            folders=[],
            dataset="x",
            checksums=tmp_path / "checksums.lock",
        )
    assert not card.exists()
    assert not list(tmp_path.rglob("escaped"))
