"""A disk that is full the moment a job begins to write: of every kind of file, told, and mended by room alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

import pytest

from tests.workflow.faults import (
    CHECKPOINT,
    STUDENT,
    STUDENT_LOG,
    disk_of_its_own,
    fill,
    final_files,
    finishes,
    ran,
    remove_trap,
    set_trap,
    told,
)
from tests.workflow.project import Project

pytestmark = pytest.mark.faults

SIGNS = "results/shared/data/signs/tiny"
PANELS = "results/tiny/attention/tiny-objects/signs-backdoor/signs"
TABLES = "results/tiny/tables"
FIGURES = "results/tiny/figures"


@pytest.fixture
def on_a_small_disk(project: Project) -> Iterator[Project]:
    """A finished study whose results lie on a disk that a test may fill."""
    with disk_of_its_own(project.folder / "results"):
        yield project


def remade(project: Project, targets: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Let one rule write its files anew."""
    for path in targets:
        (project.folder / path).unlink(missing_ok=True)
    return project.snakemake(targets[0])


def stopped_at(project: Project, name: str, targets: Sequence[str]) -> str:
    """Run a rule with a disk that is full when the file of this name is begun, and return what a user reads."""
    set_trap(project, name, "fill")
    stopped = remade(project, targets)
    assert (project.folder / "results/filler").exists(), f"{name} was never written"
    remove_trap(project)
    assert stopped.returncode != 0, name
    assert not list((project.folder / "results").rglob(".*.partial")), name
    return told(stopped)


@pytest.mark.parametrize(
    ("rule", "targets", "names"),
    [
        (
            "train_student",
            [f"{STUDENT}/{name}" for name in ("card.json", "weights.safetensors", "history.parquet")],
            [CHECKPOINT, "weights.safetensors", "history.parquet", "card.json"],
        ),
        ("prepare_dataset", [f"{SIGNS}/card.json"], ["images.npy", "index.parquet"]),
        ("map_attention", [f"{PANELS}/{name}" for name in ("card.json", "panels.safetensors")], ["panels.safetensors"]),
        (
            "summarise",
            [f"{TABLES}/summary.{kind}" for kind in ("parquet", "csv", "html", "tex")],
            ["summary.csv", "summary.html", "summary.tex"],
        ),
        (
            "draw_figures",
            [f"{FIGURES}/trade_off.{kind}" for kind in ("png", "pdf")],
            ["trade_off.png", "trade_off.pdf"],
        ),
        ("draw_attention", [f"{FIGURES}/attention_same-data-set.txt"], ["attention_same-data-set.txt"]),
        ("write_report", ["results/tiny/report.html"], ["report.html"]),
    ],
    ids=["training", "data", "attention", "tables", "figures", "caption", "report"],
)
def test_a_disk_full_at_each_file_of_a_rule_loses_nothing(
    on_a_small_disk: Project, rule: str, targets: list[str], names: list[str]
) -> None:
    project = on_a_small_disk
    before, files = project.digests(), set(final_files(project.folder / "results"))
    for name in names:
        words = stopped_at(project, name, targets)
        assert "No space left on device" in words, name
        assert "free some space on this disk, then run again" in words, name
        lost = files - set(final_files(project.folder / "results"))
        assert lost <= files_of(project, rule), name
    assert ran(finishes(project.snakemake(targets[0]))) == {rule}
    assert project.digests() == before
    assert project.plan() == []


def files_of(project: Project, rule: str) -> set[str]:
    """Everything below results/ that a rule of the tiny study writes, tables and figures by their first word."""
    folders = {
        "train_student": "tiny/students/",
        "prepare_dataset": "shared/data/signs/tiny/",
        "map_attention": "tiny/attention/",
        "summarise": "tiny/tables/",
        "draw_figures": "tiny/figures/",
        "draw_attention": "tiny/figures/attention",
        "write_report": "tiny/report.html",
    }
    own = {name for name in final_files(project.folder / "results.kept") if name.startswith(folders[rule])}
    return own | {name for name in final_files(project.folder / "results.kept") if "/benchmarks/" in name}


def test_a_disk_full_at_the_log_stops_the_job_with_words(on_a_small_disk: Project) -> None:
    project = on_a_small_disk
    before = project.digests()
    words = stopped_at(project, STUDENT_LOG, [f"{STUDENT}/card.json"])
    assert "cannot write the log" in words
    assert "No space left on device" in words
    assert "Traceback" not in words
    assert ran(finishes(project.snakemake(f"{STUDENT}/card.json"))) == {"train_student"}
    assert project.digests() == before


def test_a_disk_full_for_snakemakes_own_notes_loses_nothing(project: Project) -> None:
    before = project.digests()
    target = f"{TABLES}/summary.csv"
    (project.folder / target).unlink()
    notes = project.folder / ".snakemake"
    with disk_of_its_own(notes):
        filler = fill(notes, leave=0)
        stopped = project.snakemake(target)
        assert stopped.returncode != 0
        assert "No space left on device" in told(stopped)
        filler.unlink()
        assert ran(finishes(project.snakemake(target))) == {"summarise"}
        assert project.digests() == before
        assert project.plan() == []
