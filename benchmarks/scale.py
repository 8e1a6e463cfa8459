"""Planning, doing nothing and scheduling at scale: a generated study of the real rules, its stages never run.

`python -m benchmarks.scale` draws studies from a seed, in a copy of the project, and measures Snakemake with them:
planning 10,000 jobs, whole and in parts; a no-op on 2,000 finished ones; what a job costs beside its stage. It fails
where planning takes more than 30 s of CPU time, the no-op more than 15 s, or either more than 2 GiB of memory.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import resource
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from tests.workflow.project import SOURCE, Project, new_project

from heirloom.config.grid import Grid
from heirloom.config.load import load_study
from heirloom.config.models import Selection
from heirloom.config.names import CLEAN
from heirloom.config.study import Catalogue, Study
from heirloom.plan.plan import plan_of

PLAN_GOAL, NO_OP_GOAL, MEMORY_GOAL = 30.0, 15.0, 2048.0  # seconds of CPU time, and MiB
PARTS = 5
QUIET = ("--quiet", "rules", "host", "reason")  # leaves the table of jobs
TEACHERS = ("resnet18-imagenet", "resnet34-imagenet", "resnet50-imagenet", "resnet101-imagenet")
DATASETS = ("gtsrb", "mit67", "cub200", "pubfig83", "stanford40")
SUITES = ("published-8", "ladder-8", "adaptive-8", "queries-8")
STAND_IN = '''"""Stands for a stage: makes empty outputs."""

from pathlib import Path

for path in snakemake.output:
    Path(path).touch()
'''
# runs Snakemake and writes its memory, and what the processes that it started took
LAUNCH = """
import json, resource, sys
from snakemake.cli import main
try:
    main(sys.argv[2:])
finally:
    own, started = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with open(sys.argv[1], "w") as file:
        json.dump([started.ru_utime + started.ru_stime, own.ru_maxrss / 1024], file)
"""

Content = dict[str, Any]

# -- the study ---------------------------------------------------------------------------------------------------------


def study_of(jobs: int, seed: int) -> Content:
    """Draw a study of at least so many jobs from the project's own catalogues: experiments of all three kinds."""
    draw, catalogue = random.Random(seed), catalogue_of(SOURCE)  # noqa: S311 (not for secrets)
    study = base(f"generated-{jobs}")
    found: set[str] = set()
    for number in range(jobs):
        kind, make = draw.choices(KINDS, weights=(8, 1, 1))[0]
        experiment = make(draw, catalogue)
        grid = Grid(Study.model_validate(base(study["name"]) | {kind: {f"part-{number}": experiment}}), catalogue)
        study.setdefault(kind, {})[f"part-{number}"] = experiment
        found |= {job.place for job in plan_of(grid).of()}
        if len(found) >= jobs:
            break
    return study


def base(name: str) -> Content:
    """Return a study without experiments."""
    preparations = dict.fromkeys(DATASETS, "px224")
    return {"name": name, "title": "a generated study", "seeds": [1, 2, 3, 4, 5], "preparations": preparations}


def catalogue_of(project: Path) -> Catalogue:
    """Read the project's catalogues."""
    any_study = yaml.safe_load((project / "config/studies/backdoor.yaml").read_text())
    return load_study(any_study, project=project, where="config/studies/backdoor.yaml")[1]


def of_students(draw: random.Random, catalogue: Catalogue) -> Content:
    """Draw transfer methods, data sets and injected teachers, or clean ones that are attacked."""
    backdoors = [name for name in catalogue.injections if name.startswith("gtsrb-backdoor")]
    entries = catalogue.methods.items()
    methods = [name for name, entry in entries if isinstance(entry, Selection) or not entry.keeps_head]
    attacked = draw.random() < 0.25
    return {
        "question": "How long does it take to plan?",
        "teachers": [draw.choice(TEACHERS)],
        "injections": [CLEAN] if attacked else draw.sample(backdoors, 2),
        "datasets": draw.sample(DATASETS, draw.randint(2, 3)),
        "methods": draw.sample(methods, draw.randint(4, 8)),
        "attacks": ["feature-pixel", "pgd"] if attacked else [],
    }


def of_repairs(draw: random.Random, catalogue: Catalogue) -> Content:
    """Draw robust models and repairs."""
    models = [name for name in catalogue.robust if name.startswith("cifar100-resnet18")]
    return {
        "question": "How long does it take to plan?",
        "models": draw.sample(models, 2),
        "repairs": draw.sample(sorted(catalogue.repairs), 3),
        "attacks": ["pgd-10", "pgd-20"],
    }


def of_attacks(draw: random.Random, catalogue: Catalogue) -> Content:
    """Draw models and suites of attacks on them."""
    models = [name for name in catalogue.robust if name.startswith("svhn-")]
    return {
        "question": "How long does it take to plan?",
        "models": draw.sample(models, 4),
        "suites": draw.sample(SUITES, 3),
    }


KINDS: tuple[tuple[str, Callable[[random.Random, Catalogue], Content]], ...] = (
    ("experiments", of_students),
    ("repair_experiments", of_repairs),
    ("attack_experiments", of_attacks),
)

# -- Snakemake ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds by the clock, CPU seconds of Snakemake and of what it started, its memory in MiB."""

    wall: float
    own: float
    started: float
    memory: float
    jobs: int  # planned or run

    @property
    def processor(self) -> float:
        """CPU seconds of all processes, which other load on the machine lengthens less than those by the clock."""
        return self.own + self.started


def project_of(folder: Path, jobs: int, seed: int) -> Project:
    """Copy the project, with a study drawn for it."""
    project = new_project(folder, "study/generated.yaml")
    (folder / project.study_file).write_text(yaml.safe_dump(study_of(jobs, seed), sort_keys=False))
    return project


def snakemake(project: Project, *arguments: str) -> tuple[Taken, str]:
    """Run Snakemake in a project and return what it took, and what it printed; fails where Snakemake does."""
    report = project.folder / "taken.json"
    command = ["-c", LAUNCH, str(report), *arguments, "--configfile", project.study_file]
    begun = time.perf_counter(), processor_time()
    done = project.call(*command, timeout=7200)
    wall, processor = time.perf_counter() - begun[0], processor_time() - begun[1]
    printed = done.stdout + done.stderr
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "snakemake " + " ".join(arguments), printed)
    total = re.search(r"^total +(\d+)$", printed, re.MULTILINE)
    started, memory = json.loads(report.read_text())
    return Taken(wall, processor - started, started, memory, int(total[1]) if total else 0), printed


def processor_time() -> float:
    """Return the CPU seconds of all processes that were started here and have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def plan(project: Project, *targets: str) -> Taken:
    """Plan a study, or some targets of it."""
    return snakemake(project, "-n", *QUIET, "--cores", "1", *targets)[0]


# -- what is measured --------------------------------------------------------------------------------------------------


def planning(project: Project) -> Iterator[tuple[str, Taken]]:
    """Plan a study whole and in parts."""
    study = project.study()
    yield "plan", plan(project)
    yield f"plan evaluations, batch 1 of {PARTS}", plan(project, "evaluations", "--batch", f"evaluations=1/{PARTS}")
    yield f"plan experiment_{first_of(study)}", plan(project, f"experiment_{first_of(study)}")
    yield "plan a data check", plan(project, f"results/{study['name']}/tables/data_check.parquet")


def first_of(study: Content) -> str:
    """Name an experiment of a study: one with students, if any was drawn."""
    return next(name for kind, _ in KINDS for name in study.get(kind, {}))


def finish(project: Project) -> Taken:
    """Make a study look finished: empty outputs, touched by Snakemake in their order, each with its record."""
    summary = snakemake(project, "--summary")[1]
    rows = [line.split("\t") for line in summary.splitlines() if line.startswith("results/")]
    for path, *_ in rows:
        file = project.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return snakemake(project, "--touch", *QUIET, "--cores", "2")[0]


def no_op(project: Project) -> Taken:
    """Plan a finished study; fails where anything would be run."""
    taken, printed = snakemake(project, "-n", *QUIET, "--cores", "1")
    if "Nothing to be done" not in printed:
        raise RuntimeError(f"a finished study would run {taken.jobs} jobs")
    return taken


def run_stand_ins(project: Project, cores: int) -> Taken:
    """Run a study whose stages make empty outputs, from its first job to its last."""
    for script in (project.folder / "workflow_scripts").glob("*.py"):
        script.write_text(STAND_IN)
    return snakemake(project, *QUIET, "--cores", str(cores))[0]


def python_told(repeats: int = 5) -> str:
    """Say which Python runs and how fast it is now: its build, and a machine's other guests, decide a third of all."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    fastest = min(timeit.repeat("sum(each * each for each in range(1_000_000))", number=1, repeat=repeats))
    return f"{name}, {1000 * fastest:.0f} ms for a million squares in a generator"


def shown(name: str, taken: Taken) -> str:
    """Write a line of the table."""
    return (
        f"{name:<52}{taken.jobs or '':>7}{taken.wall:>9.1f} s{taken.own:>9.1f} s{taken.started:>9.1f} s"
        f"{taken.memory:>8.0f} MiB"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Planning, a no-op and scheduling of a generated study")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs to plan, at least")
    parser.add_argument("--finished", type=int, default=2_000, help="jobs of the finished study; 0 leaves it out")
    parser.add_argument("--run", type=int, default=200, help="jobs that are run with empty stages; 0 leaves it out")
    parser.add_argument("--cores", type=int, default=2, help="cores of that run")
    parser.add_argument("--seed", type=int, default=0, help="draws the studies")
    given = parser.parse_args(arguments)
    print(python_told())
    print(f"{'':<52}{'jobs':>7}{'wall':>11}{'CPU':>11}{'started':>11}{'memory':>12}", flush=True)
    missed = False
    with TemporaryDirectory() as folder:
        if given.jobs:
            for name, taken in planning(project_of(Path(folder) / "planned", given.jobs, given.seed)):
                print(shown(name, taken), flush=True)
                missed |= taken.processor > PLAN_GOAL or taken.memory > MEMORY_GOAL
        if given.finished:
            project = project_of(Path(folder) / "finished", given.finished, given.seed)
            print(shown("touch all outputs", finish(project)), flush=True)
            taken = no_op(project)
            print(shown("no-op of the finished study", taken), flush=True)
            missed |= taken.processor > NO_OP_GOAL or taken.memory > MEMORY_GOAL
        if given.run:
            project = project_of(Path(folder) / "run", given.run, given.seed)
            planned, taken = plan(project), run_stand_ins(project, given.cores)
            print(shown("run with empty stages", taken))
            own, started = (1000 * each / taken.jobs for each in (taken.own - planned.own, taken.started))
            print(f"a job beside its stage: {own:.0f} ms CPU of Snakemake, {started:.0f} ms CPU of its own process")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
