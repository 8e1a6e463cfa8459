"""The documentation holds no placeholder, no dead link, and no path or address of the place it was written on."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "config/README.md", *sorted((PROJECT / "docs").glob("*.md"))]
FOLDERS = (".github", "benchmarks", "config", "docs", "envs", "profiles", "rules", "tests", "workflow_scripts")
SUFFIXES = {"", ".cff", ".json", ".md", ".py", ".rst", ".smk", ".toml", ".yaml", ".yml"}
TEXTS = sorted(
    path
    for place in (PROJECT.glob("*"), *((PROJECT / folder).rglob("*") for folder in FOLDERS))
    for path in place
    if path.is_file() and path.suffix in SUFFIXES and not path.name.startswith(".")
)
# names of pages that no reader of the repository has; Python constants may be called so
OUTSIDE = re.compile(r"\b(METHODS2?|DESIGN|PUBLISHED|FINDINGS|ANCHORS|LIBRARIES)\b")


def prose(path: Path) -> str:
    """Return what a file says to its readers: the comments and docstrings of Python, all of anything else."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return "\n".join([*comments, *docstrings])


def anchors(page: Path) -> Iterator[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen = Counter[str]()
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def references(path: Path) -> Iterator[tuple[Path, str]]:
    """Give the pages that a file names, each with the anchor behind it, which may be empty."""
    text = path.read_text(encoding="utf-8")
    for page, anchor in re.findall(r"(?<![\w./])(docs/[\w-]+\.md)(?:#([\w-]+))?", text):
        yield PROJECT / page, anchor
    if path.suffix == ".md":
        for page, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            yield (path.parent / page if page else path), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_and_heading_that_is_named_exists():
    named = {(path, *reference) for path in TEXTS for reference in references(path)}
    assert len({anchor for *_, anchor in named}) >= 40
    pages = {page for _, page, _ in named}
    known = {page: {"", *anchors(page)} if page.is_file() else set() for page in pages}
    assert [(str(path), page.name, anchor) for path, page, anchor in sorted(named) if anchor not in known[page]] == []


def test_nothing_refers_to_a_page_outside_the_repository():
    found = [path for path in TEXTS if OUTSIDE.search(path.read_text(encoding="utf-8"))]
    assert [str(path) for path in found if OUTSIDE.search(prose(path))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_placeholder_is_left(page):
    assert not re.search(r"^(RESULTS|QUICKSTART)$|\bSECONDS\b|TODO|FIXME", page.read_text(), re.MULTILINE)


def test_every_defect_of_published_code_has_a_test_that_exists():
    page = (PROJECT / "docs/definitions.md").read_text().partition("## Defects of published code")[2]
    rows = dict(re.findall(r"^### ([BRF]\d+)\n(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL))
    numbers = {"B": [*range(1, 15), 19, 21], "R": range(1, 8), "F": range(1, 7)}
    assert list(rows) == [f"{letter}{number}" for letter in numbers for number in numbers[letter]]
    for defect, tests in rows.items():
        named = re.findall(r"`(\w+\.py)::(\w+)`", tests)
        assert named, defect
        for file, name in named:
            assert f"def {name}(" in (PROJECT / "tests/unit" / file).read_text(), f"{defect}: {file}::{name}"


def test_every_fault_has_a_test_that_exists_and_every_test_of_a_fault_its_row():
    page = (PROJECT / "docs/reliability.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("|") and not row.startswith(("| fault |", "|---"))]
    assert len(rows) >= 25
    for row in rows:
        assert re.search(r"`\w+\.py::\w+` \|$", row), row
    named = set(re.findall(r"`(\w+\.py)::(\w+)`", page))
    for file, name in named:
        paths = [PROJECT / "tests" / folder / file for folder in ("unit", "workflow")]
        assert any(path.exists() and f"def {name}(" in path.read_text() for path in paths), f"{file}::{name}"
    for path in (PROJECT / "tests/workflow").glob("test_*.py"):
        text = path.read_text()
        marked = (
            r"\bdef (test_\w+)" if "pytestmark = pytest.mark.faults" in text else r"mark\.faults\n(?:@.*\n)*def (\w+)"
        )
        assert {(path.name, name) for name in re.findall(marked, text)} <= named, path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_study_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)`", page.read_text())) <= targets
    for study in re.findall(r"config/studies/([a-z-]+)\.yaml", page.read_text()):
        assert (PROJECT / f"config/studies/{study}.yaml").exists()
