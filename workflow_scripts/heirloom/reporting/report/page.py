"""The report as one HTML page: contents put into the template, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from heirloom.reporting.formats import NOTE
from heirloom.reporting.report.content import EmbeddedPicture, ExperimentPage, Table
from heirloom.reporting.report.template import STYLE, TEMPLATE

SECTIONS = (
    ("figures", "Figures"),
    ("published", "Published numbers"),
    ("attention", "Where models look"),
    ("contact-sheets", "What the defects look like"),
    ("data", "Data check"),
    ("provenance", "Provenance"),
    ("costs", "Costs"),
    ("again", "Run it again"),
)


@dataclass(frozen=True)
class Report:
    """All that the page says; texts are plain, not HTML."""

    title: str
    study: str
    seeds: Sequence[int]
    experiments: Sequence[ExperimentPage]
    figures: Sequence[EmbeddedPicture]
    published: Sequence[Table]
    attention: Sequence[EmbeddedPicture]
    sheets: Sequence[EmbeddedPicture]
    data: Table
    licences: Sequence[str]
    facts: Sequence[tuple[str, str]]
    models: Table
    cards: Table
    costs: Table
    command: str


def render(report: Report) -> str:
    """Return the page: one file without scripts and without anything from elsewhere."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    empty = {"contact-sheets"} if not report.sheets else set()
    empty |= {"attention"} if not report.attention else set()
    empty |= {"published"} if not report.published else set()
    sections = [(anchor, name) for anchor, name in SECTIONS if anchor not in empty]
    seeds = ", ".join(map(str, report.seeds))
    content = vars(report) | {
        "seeds": f"seed{'' if len(report.seeds) == 1 else 's'} {seeds}",
        "sections": sections,
        "note": NOTE,
        "style": Markup(STYLE),  # noqa: S704 - our own constant, which holds no user's text
    }
    page = environment.from_string(TEMPLATE).render(content)
    return page.lstrip() + "\n"
