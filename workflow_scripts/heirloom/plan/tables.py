"""Jobs that end a study: tables, figures and the report, made of what all other jobs left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from heirloom.config import attack_experiments, attention, paths, repairs
from heirloom.config.figures import embedded_figures, figure_names, figures
from heirloom.config.grid import Grid
from heirloom.config.kinds import DETECTORS, FIGURES
from heirloom.config.names import CLEAN, TEACHER
from heirloom.config.published import published_for
from heirloom.config.records import Evaluation
from heirloom.config.workflow import command_of
from heirloom.plan.job import Job, card, cards, carried
from heirloom.plan.students import attack_code
from heirloom.plan.teachers import injection_code

JobsOf = Callable[..., Sequence[Job]]
MEASURES = "measures.parquet"
CAPTIONS = "rules/captions"  # what a figure shows, by its name, below the project


def closing_jobs(grid: Grid, of: JobsOf) -> Iterator[Job]:
    """Give the jobs of tables, figures and the report. `of`: the jobs of some rules, in the order of the rules."""
    yield _check_datasets(grid)
    yield from _table_jobs(grid, of)
    yield from _figure_jobs(grid, of)
    yield _report(grid)


@dataclass(frozen=True)
class Evaluated:
    """Descriptions of all evaluations; files of predictions and measures with the place of each file's evaluation."""

    descriptions: list[dict[str, Any]]
    predictions: list[str]
    files: list[int]
    measures: list[str]
    measure_files: list[int]


def evaluated(grid: Grid, of: JobsOf) -> Evaluated:
    """Return what the tables of a study are made of: students first, then repaired models, then attacked ones."""
    repaired, attacked = repairs.evaluations(grid), attack_experiments.evaluations(grid)
    places = {evaluation: place for place, evaluation in enumerate([*grid.evaluations, *repaired, *attacked])}
    judging = of("evaluate_students", "attack_student", "evaluate_robust", "attack_model")
    measuring = [job for job in of("detect_backdoor", "map_attention") if job.experiments]
    measuring += [job for job in of("evaluate_robust") if repairs.suites_of(grid, job.names["teacher"])]
    measuring += of("measure_criticality")
    measuring += [job for job in of("attack_model") if any(map(_restorers(grid), job.settings["targets"]))]
    return Evaluated(
        descriptions=[
            *(grid.description_of(each) for each in grid.evaluations),
            *(repairs.description_of(grid, each.teacher) for each in repaired),
            *(attack_experiments.description_of(grid, each) for each in attacked),
        ],
        predictions=[job.output for job in judging],
        files=[places[_evaluation(job)] for job in judging],
        measures=[f"{job.place}/{MEASURES}" for job in measuring],
        measure_files=[places[_evaluation(job)] for job in measuring],
    )


def _restorers(grid: Grid) -> Callable[[str], bool]:
    return lambda name: attack_experiments.restores(grid, name)


def _evaluation(job: Job) -> Evaluation:
    return Evaluation(job.names["teacher"], job.names["injection"], job.names["dataset"])


def _place(grid: Grid, name: str) -> str:
    return f"{paths.RESULTS}/{grid.study.name}/{name}"


def _check_datasets(grid: Grid) -> Job:
    folders = [paths.data_folder(*names) for names in grid.prepared_data]
    return Job(
        "check_datasets",
        _place(grid, "tables"),
        paths.table(grid.study.name, "data_check.parquet"),
        inputs={
            "cards": cards(folders),
            "development_images": carried(folders, "development/images.npy"),
            "development_indices": carried(folders, "development/index.parquet"),
            "test_images": carried(folders, "test/images.npy"),
            "test_indices": carried(folders, "test/index.parquet"),
        },
        settings={"origins": [grid.origin_of(*names) for names in grid.prepared_data]},
    )


def _table_jobs(grid: Grid, of: JobsOf) -> Iterator[Job]:
    study, place, found = grid.study.name, _place(grid, "tables"), evaluated(grid, of)
    measurements = paths.table(study, "measurements.parquet")
    files = {"predictions": found.predictions, "measures": found.measures}
    settings = {"evaluations": found.descriptions, "files": found.files, "measure_files": found.measure_files}
    code = _attack_code(grid)
    about = {"study": study, "config_digest": grid.digest}
    yield Job("collect_measurements", place, measurements, inputs=files, settings={**about, **settings}, code=code)
    yield Job(
        "summarise",
        place,
        paths.table(study, "summary.parquet"),
        beside=[
            paths.table(study, name) for name in ("comparisons.parquet", "summary.csv", "summary.html", "summary.tex")
        ],
        inputs={"measurements": measurements, **files},
        settings={
            **settings,
            "experiments": grid.questions,
            "published": published_for(grid.study, grid.project),
            "seed": grid.study.bootstrap_seed,
        },
        code=code,
    )
    yield Job(
        "collect_costs",
        place,
        paths.table(study, "costs.parquet"),
        inputs={"measurements": measurements},
        settings={"benchmarks": {paths.record(job.place, job.rule, "benchmarks"): _cost_keys(job) for job in of()}},
    )


def _attack_code(grid: Grid) -> list[str]:
    """Modules of all attacks of the study, which also say how far each can be believed."""
    return attack_code(map(grid.attack, grid.attack_names))


def _detector_code(grid: Grid) -> list[str]:
    """Modules of all detectors of the study, which also say what their scores are called."""
    return sorted({DETECTORS.module(grid.detector(each.detector).kind) for each in grid.detections})


def _cost_keys(job: Job) -> dict[str, Any]:
    """What the table of costs calls a job by."""
    columns = ("teacher", "injection", "dataset", "method", "seed", "attack")
    return {"rule": job.rule} | {key: job.names[key] for key in columns if key in job.names}


def _histories(of: JobsOf) -> dict[str, dict[str, Any]]:
    """History of every training that figures show, with the names it belongs to."""
    trainings = of("inject_defect", "train_student", "train_robust")
    return {f"{job.place}/history.parquet": {"method": TEACHER} | dict(job.names) for job in trainings}


def _tables(grid: Grid, *names: str) -> dict[str, str]:
    return {name: paths.table(grid.study.name, f"{name}.parquet") for name in names}


def _pictures(grid: Grid, *names: str) -> list[str]:
    """Files of some figures."""
    return [paths.figure(grid.study.name, f"{name}.{kind}") for name in names for kind in ("png", "pdf")]


def _figure_jobs(grid: Grid, of: JobsOf) -> Iterator[Job]:
    study, place, histories = grid.study.name, _place(grid, "figures"), _histories(of)
    drawn, names = figures(grid, "draw_figures"), figure_names(grid, "draw_figures")
    yield Job(
        "draw_figures",
        place,
        paths.figure(study, f"{names[0]}.png"),
        beside=_pictures(grid, *names),
        inputs={**_tables(grid, "summary", "comparisons"), "histories": list(histories)},
        settings={
            "figures": list(drawn),
            "trainings": list(histories.values()),
            "controls": grid.controls,
            "ladders": grid.ladders,
        },
        code=[FIGURES.module(name) for name in drawn],
    )
    yield from (_attention_figure(grid, name) for name in sorted(grid.attention_figures))
    if grid.study.repair_experiments:
        yield _rift_figures(grid, place)
    if grid.pictured:
        yield _restored_figure(grid, place)
    if grid.contact_sheets:
        yield _contact_sheets(grid, place)


def _attention_figure(grid: Grid, experiment: str) -> Job:
    study, drawn = grid.study.name, attention.drawn(grid, experiment)
    folders = [evaluation.attention_folder(study) for evaluation in drawn]
    name = grid.attention_figures[experiment]
    return Job(
        "draw_attention",
        _place(grid, f"figures/{name}"),
        paths.figure(study, f"{name}.png"),
        beside=[*_pictures(grid, name), paths.figure(study, f"{name}.txt")],
        inputs={"panels": carried(folders, "panels.safetensors"), "cards": cards(folders)},
        settings={"evaluations": [(each.teacher, each.injection, each.dataset) for each in drawn]},
    )


def _rift_figures(grid: Grid, place: str) -> Job:
    study, ranked, repaired = grid.study.name, repairs.ranked(grid), repairs.repaired(grid)
    names = figure_names(grid, "draw_rift")
    return Job(
        "draw_rift",
        place,
        paths.figure(study, f"{names[0]}.png"),
        beside=_pictures(grid, *names),
        inputs={
            "criticality": [f"{each.criticality_folder(study)}/criticality.parquet" for each in ranked],
            "interpolation": [f"{each.folder(study)}/interpolation.parquet" for each in repaired],
        },
        settings={
            "measured": [(each.model, each.seed) for each in ranked],
            "repaired": [(each.start.model, each.repair, each.seed) for each in repaired],
            "tolerances": {each.repair: repairs.choosing(grid, each.repair)["tolerance"] for each in repaired},
            "marked": repairs.marked(grid),
        },
    )


def _restored_figure(grid: Grid, place: str) -> Job:
    pictured, (name,) = grid.pictured, figure_names(grid, "draw_restored")
    folders = [each.folder(grid.study.name) for each in pictured]
    return Job(
        "draw_restored",
        place,
        paths.figure(grid.study.name, f"{name}.png"),
        beside=_pictures(grid, name),
        inputs={"cards": cards(folders), "pictures": carried(folders, "pictures.safetensors")},
        settings={"models": [each.model for each in pictured]},
    )


def _contact_sheets(grid: Grid, place: str) -> Job:
    folders = [grid.injection_data(name) for name in grid.defects]
    triggers = {name: recipe for defect in grid.defects for name, recipe in grid.triggers_in(defect).items()}
    return Job(
        "draw_contact_sheets",
        place,
        paths.figure(grid.study.name, f"{grid.contact_sheets[0]}.png"),
        beside=_pictures(grid, *grid.contact_sheets),
        inputs={
            "cards": cards(folders),
            "development_images": carried(folders, "development/images.npy"),
            "development_indices": carried(folders, "development/index.parquet"),
            "test_images": carried(folders, "test/images.npy"),
            "test_indices": carried(folders, "test/index.parquet"),
            "triggers": grid.trigger_files(triggers),
        },
        settings={
            "sheets": [grid.sheet_of(name) for name in grid.defects],
            "triggers": triggers,
            "batch_size": grid.study.evaluation_batch,
        },
        code=injection_code(grid, grid.defects),
    )


def _report(grid: Grid) -> Job:
    study = grid.study.name
    embedded = embedded_figures(grid)
    teachers = [(name, CLEAN) for name in grid.teacher_names]
    teachers += [names for names in grid.infected_teachers if names not in teachers]
    attentive = sorted(grid.attention_figures)
    return Job(
        "write_report",
        _place(grid, "report"),
        paths.report(study),
        inputs={
            **_tables(grid, "summary", "comparisons", "data_check", "costs"),
            "figures": [paths.figure(study, f"{name}.png") for name in embedded],
            "captions": [os.path.relpath(grid.project / CAPTIONS / f"{name}.rst") for name in embedded],
            "data_cards": [card(paths.data_folder(*names)) for names in grid.prepared_data],
            "teacher_cards": [card(paths.teacher_folder(*names)) for names in teachers],
            "sheets": [paths.figure(study, f"{name}.png") for name in grid.contact_sheets],
            "attention": [paths.figure(study, f"attention_{name}.png") for name in attentive],
            "attention_captions": [paths.figure(study, f"attention_{name}.txt") for name in attentive],
        },
        settings={
            "about": {
                "study": study,
                "title": grid.study.title,
                "digest": grid.digest,
                "seeds": list(grid.study.seeds),
                "questions": grid.questions,
                "command": command_of(grid),
                "data": grid.prepared_data,
                "teachers": teachers,
                "sheets": [grid.sheet_of(name) for name in grid.defects],
                "attention": attentive,
            }
        },
        code=[*injection_code(grid, grid.defects), *_attack_code(grid), *_detector_code(grid)],
    )
