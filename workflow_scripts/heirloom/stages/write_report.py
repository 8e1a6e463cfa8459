"""Write a study's report: one HTML page with its answers, tables, figures, data, provenance and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from heirloom.data.inventory import DATA_CHECK
from heirloom.reporting.figures.contact_sheet import ContactSheet
from heirloom.reporting.report.content import (
    EmbeddedPicture,
    card_table,
    cost_table,
    data_table,
    experiments_of,
    licences,
    model_table,
    picture,
    published_tables,
)
from heirloom.reporting.report.page import Report, render
from heirloom.reporting.tables import COSTS, read_comparisons, read_rows, read_summary
from heirloom.reporting.wording import contact_sheet_caption
from heirloom.runtime.files import atomic_path, read_card

PACKAGES = ("heirloom", "torch", "torchvision", "numpy", "scipy", "pyarrow", "snakemake")


@dataclass(frozen=True)
class Inputs:
    """Tables, figures (PNG) with captions parallel to them, and the cards of the prepared data and of all teachers.

    The figures of attention have captions of their own, which say what was found by which rule.
    """

    summary: Path
    comparisons: Path
    data_check: Path
    costs: Path
    figures: list[Path]
    captions: list[Path]
    data_cards: list[Path]
    teacher_cards: list[Path]
    sheets: list[Path] = field(default_factory=list)
    attention: list[Path] = field(default_factory=list)
    attention_captions: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """One HTML file that needs no other."""

    report: Path


@dataclass(frozen=True)
class About:
    """What the study says of itself. The lists run parallel to the inputs of the same kind.

    `data`: data set and preparation. `teachers`: teacher and injection. `attention`: experiments.
    """

    study: str
    title: str
    digest: str
    seeds: list[int]
    questions: dict[str, str]
    command: str
    data: list[tuple[str, str]]
    teachers: list[tuple[str, str]]
    sheets: list[ContactSheet]
    attention: list[str] = field(default_factory=list)


def run(*, inputs: Inputs, outputs: Outputs, about: About) -> None:
    """Write report.html. Its costs and versions are this machine's, all else is the same wherever it is made.

    Raises DamagedFileError for an input that is not what its stage wrote.
    """
    checks = read_rows(inputs.data_check, columns=DATA_CHECK)
    teachers = [(*names, read_card(path)) for names, path in zip(about.teachers, inputs.teacher_cards, strict=True)]
    data = [(*names, read_card(path)) for names, path in zip(about.data, inputs.data_cards, strict=True)]
    rows, comparisons = read_summary(inputs.summary), read_comparisons(inputs.comparisons)
    report = Report(
        title=about.title,
        study=about.study,
        seeds=about.seeds,
        experiments=experiments_of(rows, about.questions, comparisons),
        figures=_figures(inputs.figures, inputs.captions),
        published=published_tables(rows),
        attention=_attention(inputs, about),
        sheets=_sheets(inputs.sheets, about.sheets),
        data=data_table(checks),
        licences=licences(checks),
        facts=_facts(about),
        models=model_table(teachers),
        cards=card_table(data),
        costs=cost_table(read_rows(inputs.costs, columns=COSTS)),
        command=about.command,
    )
    with atomic_path(outputs.report) as path:
        path.write_text(render(report), encoding="utf-8")


def _figures(paths: Sequence[Path], captions: Sequence[Path]) -> list[EmbeddedPicture]:
    """Embed the figures with their captions."""
    return [
        picture(path, name=path.stem, heading=path.stem.replace("_", " ").capitalize(), caption=_text(caption))
        for path, caption in zip(paths, captions, strict=True)
    ]


def _text(caption: Path) -> str:
    """Read a caption: one paragraph, whatever its lines."""
    return " ".join(caption.read_text(encoding="utf-8").split())


def _sheets(paths: Sequence[Path], sheets: Sequence[ContactSheet]) -> list[EmbeddedPicture]:
    """Embed the contact sheets with the rules by which their images were chosen."""
    return [
        picture(path, name=path.stem, heading=sheet.name, caption=contact_sheet_caption(sheet.injection))
        for path, sheet in zip(paths, sheets, strict=True)
    ]


def _attention(inputs: Inputs, about: About) -> list[EmbeddedPicture]:
    """Embed the figures of attention."""
    found = zip(about.attention, inputs.attention, inputs.attention_captions, strict=True)
    return [picture(path, name=path.stem, heading=name, caption=_text(caption)) for name, path, caption in found]


def _facts(about: About) -> list[tuple[str, str]]:
    """Say what identifies the study, and which programs wrote this page."""
    versions = [f"Python {python_version()}", *(f"{name} {found}" for name in PACKAGES if (found := _version(name)))]
    return [
        ("study", about.study),
        ("digest of its settings", about.digest),
        ("seeds of the students", ", ".join(map(str, about.seeds))),
        ("versions where this page was written", ", ".join(versions)),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a folder, not installed
        return ""
