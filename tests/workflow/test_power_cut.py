"""Files that a power cut, a failing disk or a wrong clock has left behind are noticed, and only they are made again."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.workflow.faults import STUDENT, finishes, ran, ran_jobs, told
from tests.workflow.project import Project

pytestmark = pytest.mark.faults

SIGNS = "results/shared/data/signs"
STUDENTS = "results/tiny/students/tiny-objects"
EVALUATION = "results/tiny/evaluations/tiny-objects"
PANELS = "results/tiny/attention/tiny-objects/signs-backdoor/signs"
TABLES = "results/tiny/tables"
FIGURES = "results/tiny/figures"
# what is left of each file: the share of its bytes
CUT = {
    f"{SIGNS}/tiny/development/images.npy": 0.5,
    f"{SIGNS}/tiny/test/index.parquet": 0.0,
    f"{STUDENTS}/signs-backdoor/signs/fine-tuning/seed1/weights.safetensors": 0.5,
    f"{STUDENTS}/signs-backdoor/signs/fine-tuning/seed1/history.parquet": 0.0,
    f"{STUDENTS}/signs-clean/signs/fine-tuning/seed1/card.json": 0.5,
    f"{EVALUATION}/signs-backdoor/signs/predictions.parquet": 0.5,
    f"{PANELS}/panels.safetensors": 0.5,
    f"{TABLES}/measurements.parquet": 0.0,
    f"{TABLES}/summary.csv": 0.0,
    f"{TABLES}/summary.html": 0.5,
    f"{TABLES}/summary.tex": 0.0,
    f"{FIGURES}/attack_success.png": 0.5,
    f"{FIGURES}/trade_off.pdf": 0.0,
    f"{FIGURES}/attention_same-data-set.txt": 0.0,
    "results/tiny/report.html": 0.5,
}
BACKDOOR = "teacher=tiny-objects injection=signs-backdoor dataset=signs"
CONTROL = BACKDOOR.replace("backdoor", "clean")
MAKERS = {
    ("prepare_dataset", "dataset=signs preparation=tiny"),
    ("train_student", f"{BACKDOOR} method=fine-tuning seed=1"),
    ("train_student", f"{CONTROL} method=fine-tuning seed=1"),
    ("evaluate_students", BACKDOOR),
    ("map_attention", BACKDOOR),
    ("collect_measurements", ""),
    ("summarise", ""),
    ("draw_figures", ""),
    ("draw_attention", "experiment=same-data-set"),
    ("write_report", ""),
}


def test_files_cut_short_are_made_again_and_nothing_else(project: Project) -> None:
    before = project.digests()
    for path, share in CUT.items():
        file = project.folder / path
        os.truncate(file, int(share * file.stat().st_size))
    done = finishes(project.heirloom("run"))
    for path in CUT:
        assert f"heirloom: {path} is damaged; it will be made again" in done.stderr
    assert ran_jobs(done) == MAKERS
    assert project.digests() == before
    assert project.plan() == []


def test_a_picture_that_is_damaged_after_its_preparation_is_named_when_it_is_needed_again(project: Project) -> None:
    before = project.digests()
    picture = sorted((project.folder / SIGNS / "raw/files").rglob("*.ppm"))[0]
    os.truncate(picture, picture.stat().st_size // 2)
    assert project.plan() == []
    images = project.folder / SIGNS / "tiny/development/images.npy"
    pixels = bytearray(images.read_bytes())
    pixels[-1] ^= 1  # as long as before: the checksum alone tells
    images.write_bytes(pixels)
    stopped = project.heirloom("run")
    assert stopped.returncode != 0
    assert "images.npy is damaged; it will be made again" in stopped.stderr
    assert "1 picture of the data set cannot be used" in told(stopped)
    assert picture.name in told(stopped)
    assert f"or delete {SIGNS}/raw and run again" in told(stopped)
    shutil.rmtree(project.folder / SIGNS / "raw")
    assert ran(finishes(project.heirloom("run"))) == {"render_dataset", "prepare_dataset"}
    assert project.digests() == before
    assert project.plan() == []


def test_a_clock_set_back_is_told_and_reruns_nothing(project: Project) -> None:
    """Results of tomorrow, as after a clock that was a day ahead is set right."""
    before = project.digests()
    for path in [*(project.folder / "results").rglob("*"), *(project.folder / ".snakemake").rglob("*")]:
        if path.is_file():
            tomorrow = path.stat().st_mtime + 86400
            os.utime(path, (tomorrow, tomorrow))
    assert project.plan() == []
    card = f"{STUDENT}/card.json"
    (project.folder / card).unlink()
    stopped = project.snakemake(card)
    assert stopped.returncode != 0
    assert "clock skew" in told(stopped)
    done = finishes(project.heirloom("run", card))
    assert "dated now, since the clock was set back and they lay in the future: results/" in done.stderr
    assert ran(done) == {"train_student"}
    assert project.digests() == before
    assert project.plan() == []


def test_notes_of_snakemake_that_are_cut_short_rerun_nothing(project: Project) -> None:
    before = project.digests()
    for path in (project.folder / ".snakemake/metadata").iterdir():
        os.truncate(path, 0)
    assert project.plan() == []
    (project.folder / f"{TABLES}/summary.csv").unlink()
    assert ran(finishes(project.snakemake(f"{TABLES}/summary.csv"))) == {"summarise"}
    assert project.digests() == before
