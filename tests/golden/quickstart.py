"""Quickstart's golden numbers: how they are read from a summary, and how far another seed moves them.

`python -m tests.golden.quickstart FOLDER [EXPERIMENT ...]` runs quickstart in FOLDER once with its own seeds and a few
times with other seeds for teacher, injection, students and robust models, and writes quickstart.json: each number and
its tolerance. With experiments named it runs these alone and leaves all other numbers as they were. The check and this
command read a summary by the same function.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import yaml

from heirloom.runtime.files import read_table
from tests.workflow.project import Project, new_project

GOLDEN = Path(__file__).with_name("quickstart.json")
SUMMARY = "results/quickstart/tables/summary.parquet"
OTHER_SEEDS = (100, 200, 300, 400)
# Another processor rounds differently, which moves a number about as another seed does; three standard deviations (what
# fine-tuning leaves of the trigger varies so much that four would let every rate pass), at least one hundredth.
DEVIATIONS, LEAST = 3.0, 0.01


def numbers(summary: Path) -> dict[str, float]:
    """Every mean of a summary by "dataset/method/injection/attack/metric", a condition last; what is shared, once."""
    keys = ("dataset", "method", "injection", "attack", "metric", "condition")
    rows = read_table(summary).to_pylist()
    return {"/".join(row[key] for key in keys if row[key]): row["mean"] for row in rows}


def shift_seeds(project: Project, by: int) -> None:
    """Add to the seeds of teachers, injections and students; the drawn data stay."""
    for name, place in (("teachers", "source"), ("injections", None)):
        path = project.folder / f"config/{name}.yaml"
        entries = yaml.safe_load(path.read_text())
        for entry in entries.values():
            holder = entry[place] if place else entry
            if "seed" in holder:
                holder["seed"] += by
        path.write_text(yaml.safe_dump(entries))
    path = project.folder / "config/config.yaml"
    study = yaml.safe_load(path.read_text())
    study["seeds"] = [seed + by for seed in study["seeds"]]
    path.write_text(yaml.safe_dump(study))


def keep_experiments(project: Project, names: list[str]) -> None:
    """Leave only these experiments in the study; raises KeyError for one that it does not have."""
    path = project.folder / "config/config.yaml"
    study = yaml.safe_load(path.read_text())
    kinds = ("experiments", "repair_experiments", "attack_experiments")
    own = {name for kind in kinds for name in study.get(kind, {})}
    for name in set(names) - own:
        raise KeyError(name)
    for kind in kinds:
        study[kind] = {name: entry for name, entry in study.get(kind, {}).items() if name in names}
    path.write_text(yaml.safe_dump(study))


def run(project: Project) -> dict[str, float]:
    """Run quickstart in a copy of the project and read its numbers."""
    done = project.call("-m", "heirloom", "run", timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return numbers(project.folder / SUMMARY)


def golden(own: dict[str, float], others: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Each number with its tolerance: three standard deviations over all seeds, at least 0.01."""
    return {
        name: {
            "value": round(value, 6),
            "tolerance": round(max(LEAST, DEVIATIONS * statistics.stdev([value, *(seen[name] for seen in others)])), 6),
        }
        for name, value in sorted(own.items())
    }


def main(folder: str, *experiments: str) -> None:
    """Measure and write quickstart.json."""
    project = new_project(Path(folder))
    if experiments:
        keep_experiments(project, list(experiments))
    own, others, shifted = run(project), [], 0
    for seed in OTHER_SEEDS:
        shift_seeds(project, seed - shifted)
        shifted = seed
        others.append(run(project))
        print(seed, others[-1], flush=True)
    kept = json.loads(GOLDEN.read_text()) if experiments else {}
    GOLDEN.write_text(json.dumps(dict(sorted((kept | golden(own, others)).items())), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
