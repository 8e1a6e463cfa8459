"""Results that are gone or altered are noticed, by which command, and they alone are made again, to the same bytes."""

from __future__ import annotations

import shutil

from tests.workflow.faults import ran_jobs
from tests.workflow.project import Project

SIGNS = "results/shared/data/signs"
STUDENTS = "results/tiny/students/tiny-objects"
EVALUATIONS = "results/tiny/evaluations/tiny-objects"
BACKDOOR = "teacher=tiny-objects injection=signs-backdoor dataset=signs"
CLEAN = BACKDOOR.replace("backdoor", "clean")
# what is deleted, and the job that makes it
GONE = {
    f"{SIGNS}/raw/card.json": ("render_dataset", "dataset=signs"),
    f"{SIGNS}/tiny/test/images.npy": ("prepare_dataset", "dataset=signs preparation=tiny"),
    f"{STUDENTS}/signs-backdoor/signs/fine-tuning/seed1/weights.safetensors": (
        "train_student",
        f"{BACKDOOR} method=fine-tuning seed=1",
    ),
    f"{STUDENTS}/signs-clean/signs/fine-tuning/seed1/card.json": (
        "train_student",
        f"{CLEAN} method=fine-tuning seed=1",
    ),
    f"{EVALUATIONS}/signs-clean/signs/predictions.parquet": ("evaluate_students", CLEAN),
    "results/tiny/attention/tiny-objects/signs-backdoor/signs/panels.safetensors": ("map_attention", BACKDOOR),
    "results/tiny/tables/measurements.parquet": ("collect_measurements", ""),
    "results/tiny/figures/trade_off.pdf": ("draw_figures", ""),
}
# where one byte is altered, as long as before
ALTERED = {
    f"{EVALUATIONS}/signs-backdoor/signs/predictions.parquet": ("evaluate_students", BACKDOOR),
    "results/tiny/tables/summary.csv": ("summarise", ""),
    "results/tiny/report.html": ("write_report", ""),
}


def alter(project: Project, path: str) -> None:
    """Flip a bit in the middle of a file."""
    file = project.folder / path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_what_is_gone_or_altered_is_named_and_made_again_alone(project: Project) -> None:
    intact = project.heirloom("verify")
    assert intact.returncode == 0, intact.stderr
    before = project.digests()
    for path in GONE:
        (project.folder / path).unlink()
    for path in ALTERED:
        alter(project, path)

    found = project.heirloom("verify")
    assert found.returncode == 1
    assert f"{len(GONE)} missing and {len(ALTERED)} damaged files" in found.stdout
    assert {path for path in GONE if f"{path} is missing" not in found.stderr} == set()
    assert {path for path in ALTERED if f"{path} is damaged" not in found.stderr} == set()
    # plain snakemake sees what is gone, and by now the damaged files are
    planned = {path for job in project.plan() for path in job.outputs}
    assert planned >= {*GONE, *ALTERED}

    done = project.heirloom("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran_jobs(done) == {*GONE.values(), *ALTERED.values()}
    assert project.digests() == before
    assert project.plan() == []
    assert project.heirloom("verify").returncode == 0


def test_what_a_study_has_left_behind_and_what_a_user_adds_is_not_owed(project: Project) -> None:
    mine = project.folder / "results/tiny/tables/mine.csv"
    mine.write_text("by hand, no newline")
    for student in (project.folder / STUDENTS).glob("*/signs/re-training"):
        shutil.rmtree(student)
    experiment = {**project.study()["experiments"]["same-data-set"], "methods": ["fine-tuning"]}
    del experiment["attention"]
    project.change_study(experiments={"same-data-set": experiment})
    verified = project.heirloom("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert mine.exists()


def test_a_study_without_receipts_still_misses_what_its_cards_name(project: Project) -> None:
    """As results that were computed where no disk is shared."""
    shutil.rmtree(project.folder / "results/tiny/.receipts")
    weights = f"{STUDENTS}/signs-backdoor/signs/fine-tuning/seed1/weights.safetensors"
    (project.folder / weights).unlink()
    verified = project.heirloom("verify")
    assert verified.returncode == 1
    assert f"{weights} is missing" in verified.stderr
