"""A new figure is one file: no concern of other jobs, and of no study that lacks what it shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heirloom.config.kinds import FIGURES
from heirloom.runtime.digest import SCRIPTS, code_digest

PROJECT = Path(__file__).resolve().parents[2]
STUDY = "config/studies/backdoor.yaml"
DRAW, REPORT = "draw_figures results/backdoor/figures", "write_report results/backdoor/report"
FIGURE = """
from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import note

FIGURE = StudyFigure(order=15, names=lambda grid: ["one_more"] if grid.study.seeds[0] == SEED else [])


def draw(drawn):
    return note("one more")
"""
PROGRAM = """
import json, sys
from pathlib import Path

import yaml

from heirloom.config.workflow import open_grid
from heirloom.plan.plan import plan_of
from heirloom.runtime.digest import code_digest

project, study = Path(sys.argv[1]), sys.argv[2]
plan = plan_of(open_grid(yaml.safe_load((project / study).read_text()), config_files=[study], project=project))
assert not {"torch", "matplotlib"} & set(sys.modules)
files = lambda job: {key: list(map(str, job.inputs[key])) for key in sorted(job.inputs)}
told = {
    f"{job.rule} {job.place}": [
        job.output, list(job.beside), files(job), dict(job.settings), code_digest(job.rule, *job.code)
    ]
    for job in plan.jobs
}
print(json.dumps(told, default=str))
"""


def planned(scripts: Path) -> dict[str, Any]:
    """Plan a study with some code: all jobs, with the digests of their code."""
    command = [sys.executable, "-c", PROGRAM, str(PROJECT), STUDY]
    environment = os.environ | {"PYTHONPATH": str(scripts)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code."""
    return Path(shutil.copytree(SCRIPTS, tmp_path_factory.mktemp("copy") / "workflow_scripts"))


def test_a_figure_is_drawn_by_the_studies_that_have_its_rows_and_changes_no_other_job(scripts: Path) -> None:
    file = scripts / "heirloom/reporting/figures/one_more.py"
    before = planned(scripts)
    file.write_text(FIGURE.replace("SEED", "-1"))
    assert planned(scripts) == before
    file.write_text(FIGURE.replace("SEED", "1"))
    after = planned(scripts)
    assert {rule for rule in before if after[rule] != before[rule]} == {DRAW, REPORT}
    assert after[DRAW][3]["figures"] == ["attack-success", "one-more", "trade-off", "training-curves"]
    assert "results/backdoor/figures/one_more.pdf" in after[DRAW][1]
    assert after[REPORT][-1] == before[REPORT][-1]  # it embeds the picture, and runs none of its code


def test_the_code_of_a_figure_counts_where_it_is_drawn_alone(scripts: Path) -> None:
    drawn, others = (FIGURES.module(name) for name in ("trade-off", "strength"))
    before = [code_digest("draw_figures", each, folder=SCRIPTS) for each in (drawn, others)]
    changed = Path(shutil.copytree(scripts, scripts.parent / "changed"))
    with (changed / "heirloom/reporting/figures/strength.py").open("a") as file:
        file.write("\nADDED_BY_A_TEST = 1\n")
    after = [code_digest("draw_figures", each, folder=changed) for each in (drawn, others)]
    assert after[0] == before[0]
    assert after[1] != before[1]
