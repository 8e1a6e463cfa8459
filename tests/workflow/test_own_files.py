"""A user's own archive and weights: found in data_root, refused with words when absent, moved without a rerun."""

from __future__ import annotations

import shutil
import tarfile

import pytest
import yaml

DATA = "results/shared/data/archived/tiny/card.json"
TEACHER = "results/shared/teachers/own/none/card.json"


@pytest.fixture
def owner(project):
    """A project whose study names an archive of GTSRB's layout and a weight file that lie in a folder of the user's."""
    own = project.folder / "own"
    own.mkdir()
    with tarfile.open(own / "signs.tar.gz", "w:gz") as archive:
        archive.add(project.folder / "results/shared/data/signs/raw/files/GTSRB", "GTSRB")
    weights = project.folder / "results/shared/teachers/tiny-objects/none/weights.safetensors"
    shutil.copy(body_of(weights, own), own / "body.safetensors")
    add(project, "datasets", "archived", dataset(project))
    add(project, "teachers", "own", teacher())
    experiment = project.study()["experiments"]["same-data-set"]
    experiment |= {"teachers": ["own"], "injections": ["none"], "datasets": ["archived"]}
    project.change_study(experiments={"own": experiment}, preparations={"archived": "tiny"})
    return project


def body_of(weights, folder):
    """Keep the body's weights under the names that its authors would use."""
    from safetensors.torch import load_file, save_file

    state = {name.removeprefix("body."): value for name, value in load_file(weights).items() if "body." in name}
    save_file(state, folder / "plain.safetensors")
    return folder / "plain.safetensors"


def add(project, section, name, entry):
    path = project.folder / f"study/{section}.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {name: entry}))


def dataset(project):
    entry = yaml.safe_load((project.folder / "study/datasets.yaml").read_text())["signs"]
    source = {"kind": "files", "files": [{"name": "signs.tar.gz"}], "instructions": "ask the owner"}
    return entry | {"source": source, "title": "archived signs"}


def teacher():
    return {
        "title": "own",
        "body": {"name": "resnet8-small", "options": {"width": 4}},
        "source": {"kind": "fetched", "classes": 4, "file": {"name": "body.safetensors"}},
    }


def test_own_files_are_found_used_and_may_move(owner):
    done = owner.snakemake(DATA, TEACHER, "--config", "data_root=own")
    assert done.returncode == 0, done.stdout + done.stderr
    (owner.folder / "own").rename(owner.folder / "moved")
    assert owner.plan(DATA, TEACHER, "--config", "data_root=moved") == []
    assert owner.plan(DATA, TEACHER) == []
    for card in (DATA, TEACHER):
        assert str(owner.folder) not in (owner.folder / card).read_text()


def test_absent_files_are_told_with_what_to_put_where(owner):
    (owner.folder / "empty").mkdir()
    stopped = owner.snakemake(DATA, TEACHER, "--keep-going", "--config", "data_root=empty")
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0
    assert "signs.tar.gz" in output
    assert "ask the owner" in output
    assert "body.safetensors" in output
    assert not (owner.folder / DATA).exists()
    assert not (owner.folder / TEACHER).exists()


def test_an_archive_that_climbs_out_stops_its_job_and_leaves_nothing(owner):
    with tarfile.open(owner.folder / "own/signs.tar.gz", "w:gz") as archive:
        archive.add(owner.folder / "study/tiny.yaml", "../../escaped.yaml")
    stopped = owner.snakemake(DATA, "--config", "data_root=own")
    assert stopped.returncode != 0
    assert "escaped.yaml" in stopped.stdout + stopped.stderr
    assert not list(owner.folder.rglob("escaped.yaml"))
    assert not (owner.folder / "results/shared/data/archived/raw/files").exists()


def test_weights_of_another_architecture_stop_their_job(owner):
    add(owner, "teachers", "own", teacher() | {"body": {"name": "resnet8-small", "options": {"width": 8}}})
    stopped = owner.snakemake(TEACHER, "--config", "data_root=own")
    assert stopped.returncode != 0
    assert "do not fit" in stopped.stdout + stopped.stderr
    assert not (owner.folder / TEACHER).exists()
