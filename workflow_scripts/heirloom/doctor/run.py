"""The whole examination, in the order in which a user would mend things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from heirloom.config.grid import Grid
from heirloom.config.load import read_yaml
from heirloom.config.resources import gpus_visible
from heirloom.config.workflow import DEFAULT_STUDY, open_grid
from heirloom.doctor.announce import free_bytes
from heirloom.doctor.disk import disk_findings
from heirloom.doctor.environment import environment_findings
from heirloom.doctor.hardware import MIB, hardware_findings
from heirloom.doctor.report import Finding, Group, has_problem, rendered
from heirloom.doctor.sources import data_root_of, estimate_of, missing_sources, source_findings
from heirloom.doctor.wording import job_list, size, time_of
from heirloom.plan.estimate import Estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.rates import Rates, read_rates, write_rates
from heirloom.runtime.errors import HeirloomError
from heirloom.runtime.machine import machine_name, usable_cores


def examine(*, project: Path, study: Path | None, data: Path | None, tell: Callable[[str], None]) -> int:
    """Print the report and return the exit status: 1 when a problem would stop `study` (the default one if None).

    Measures the machine's speed and keeps it for later estimates. Raises HeirloomError when the study asked about, or
    data_root, cannot be read at all.
    """
    asked = study or Path(DEFAULT_STUDY)
    grids, broken = open_studies(project, asked, data)
    chosen = grids[asked]
    needs = estimate_of(plan_of(chosen))
    first = [
        Group("environment", tuple(environment_findings(project))),
        Group("machine", tuple(hardware_findings(needs.mem_mb))),
        Group("disk", tuple(disk_findings(needs.disk))),
        Group("data sets and teachers", _sources(grids, chosen)),
    ]
    rates = _measured(tell)
    groups = [*first, speed_group(rates), *(study_group(path, grid, rates) for path, grid in grids.items()), *broken]
    for line in rendered(groups):
        tell(line)
    return int(has_problem(groups))


def open_studies(project: Path, asked: Path, data: Path | None) -> tuple[dict[Path, Grid], list[Group]]:
    """Open the study asked about, the default one and all in config/studies; a group for each that cannot be."""
    others = [Path(DEFAULT_STUDY), *sorted((project / "config/studies").glob("*.yaml"))]
    grids, broken = {asked: _open(project, asked, data)}, []
    for path in others:
        short = path.relative_to(project) if path.is_absolute() else path
        try:
            grids.setdefault(short, _open(project, short, data))
        except HeirloomError as error:
            finding = Finding("warning", "study", error.what, error.mend)
            broken.append(Group(f"study {short.stem} ({short})", (finding,)))
    return grids, broken


def _open(project: Path, path: Path, data: Path | None) -> Grid:
    grid = open_grid(read_yaml(project / path), config_files=[path], project=project)
    if data is None:
        return grid
    return replace(grid, study=grid.study.model_copy(update={"data_root": str(data.resolve())}))


def _sources(grids: Mapping[Path, Grid], chosen: Grid) -> tuple[Finding, ...]:
    def names(found: Iterable[Grid]) -> set[str]:
        return {name for grid in found for name in (*grid.dataset_names, *grid.teacher_names)}

    root = data_root_of(chosen)
    head = Finding("ok", "data_root", str(root) if root else "not given (DATA=FOLDER): nothing of yours is looked at")
    found = source_findings(chosen.catalogue, needed=names(grids.values()), blocking=names([chosen]), data_root=root)
    return (head, *found)


def _measured(tell: Callable[[str], None]) -> Rates | None:
    """Measure this machine; where that fails, use what was measured before."""
    from heirloom.doctor.speed import measure

    tell("measuring this machine's speed (about ten seconds on an idle one) ...\n")
    try:
        rates = measure()
        write_rates(rates)
    except (HeirloomError, RuntimeError, OSError) as error:
        tell(f"the speed could not be measured: {error}\n")
        return read_rates(machine_name())
    return rates


def speed_group(rates: Rates | None) -> Group:
    """Say how fast the machine was found to be."""
    if rates is None:
        finding = Finding("warning", "measured", "nothing, so no study's time is known", "see the message above")
        return Group("speed", (finding,))
    start = Finding("ok", "start of a job", f"{rates.start:.1f} s")
    return Group("speed", (start, *_speeds(rates)))


def _speeds(rates: Rates) -> Iterator[Finding]:
    for rate in rates.rates:
        where = rate.device + (f", {rate.threads} thread{'s' * (rate.threads > 1)}" if rate.device == "cpu" else "")
        per_step = f"{1000 * rate.step:.2g} ms a step"
        per_image = f"{1e9 * rate.mac:.2g} s for 10^9 multiply-adds, {1e6 * rate.activation:.2g} s for 10^6 activations"
        yield Finding("ok", f"{where}, {rate.precision}", f"{per_step}, {per_image}")


def study_group(path: Path, grid: Grid, rates: Rates | None) -> Group:
    """Say what a study would take."""
    title = f"study {grid.study.name} ({path})"
    try:
        found = estimate_of(plan_of(grid))
        return Group(title, tuple(_study_findings(grid, found, rates)))
    except HeirloomError as error:
        return Group(title, (Finding("warning", "estimate", error.what, error.mend),))


def _study_findings(grid: Grid, found: Estimate, rates: Rates | None) -> Iterator[Finding]:
    gpus, cores, free = gpus_visible(), max(1, int(usable_cores())), free_bytes()
    yield Finding("ok", "jobs", job_list(found))
    if not found.todo:
        return
    fits = found.disk <= free
    disk = f"about {size(found.disk)}" + ("" if fits else f", more than the {size(free)} that are free")
    yield Finding("ok" if fits else "warning", "disk", disk, "free some space, or link results/ to a larger disk")
    yield Finding("ok", "memory", f"up to {size(found.mem_mb * MIB)} a job")
    yield Finding("ok", "download", f"about {size(found.download)}" if found.download else "none")
    here = f"{gpus} here" if gpus else "none here, so the CPU computes"
    yield Finding("ok", "GPU", f"used where there is one: {here}")
    yield Finding("ok", "time", time_of(found, rates, cores=cores, gpus=gpus))
    if found.unknown:
        yield Finding("ok", "not counted", ", ".join(found.unknown))
    absent = missing_sources(grid)
    if absent:
        yield Finding("warning", "missing", ", ".join(absent), "see data sets and teachers above")
