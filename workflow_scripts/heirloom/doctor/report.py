"""Findings in groups, and how they look on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]
WIDTH = 110
NAME = 24


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` says what to do where it is not as it should be."""

    status: Status
    name: str
    what: str
    mend: str = ""


@dataclass(frozen=True)
class Group:
    """Findings under one heading."""

    title: str
    findings: tuple[Finding, ...]


def rendered(groups: Sequence[Group]) -> Iterator[str]:
    """Give the report's lines: status, name and finding in columns, what to do below, and a last line that sums up."""
    for group in groups:
        yield group.title
        for finding in group.findings:
            yield from _lines(finding)
        yield ""
    found = [finding.status for group in groups for finding in group.findings]
    yield f"{found.count('problem')} problems, {found.count('warning')} warnings"


def _lines(finding: Finding) -> Iterator[str]:
    indent = " " * (2 + 9 + NAME + 1)
    head = f"  {finding.status:<8} {finding.name:<{NAME}} "
    yield from _wrapped(head, finding.what, indent)
    if finding.mend and finding.status != "ok":
        yield from _wrapped(f"{indent}to mend: ", finding.mend, indent)


def _wrapped(head: str, text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def has_problem(groups: Sequence[Group]) -> bool:
    """Tell whether something would stop the study that is asked about."""
    return any(finding.status == "problem" for group in groups for finding in group.findings)
