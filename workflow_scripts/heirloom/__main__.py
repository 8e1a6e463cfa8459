"""`python -m heirloom`: run a study whole, or one of the checks around it. The Makefile calls nothing else."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from heirloom.config import paths
from heirloom.config.environment import environment_text
from heirloom.config.grid import Grid
from heirloom.config.resources import gpus_visible
from heirloom.config.schema import schema_text
from heirloom.config.workflow import open_grid
from heirloom.plan.plan import StudyPlan, plan_of
from heirloom.runtime.errors import HeirloomError
from heirloom.runtime.files import storage_error
from heirloom.runtime.guardian import is_snakemake
from heirloom.runtime.locks import exclusive
from heirloom.runtime.recovery import Faults, bring_to_present, find_faults, remove_damaged

MARKER = Path(paths.RESULTS) / ".locks" / "run.started"
RUN_LOCK = Path(paths.RESULTS) / ".locks" / "run.lock"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (HeirloomError, OSError) as error:
        told = error if isinstance(error, HeirloomError) else storage_error(error)
        if told is None:
            raise
        _tell(str(told))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="heirloom", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("run", run_study, "verify what exists, compute what is missing, print the answers"),
        ("downloads", fetch_downloads, "fetch what a study needs from the network, and print no answers"),
        ("summary", show_summary, "print the summary table of a finished study"),
        ("doctor", examine_machine, "check environment, machine, disk and data, and what each study would take"),
        ("verify", verify_results, "find a study's missing and damaged results, and remove the damaged"),
        ("clean", clean_results, "remove all results"),
        ("schema", show_schema, "print the JSON schema of a study"),
        ("envs", show_environment, "print the conda environment that matches requirements.lock"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--study", metavar="FILE", help="study file; the default is config/config.yaml")
        sub.add_argument("--data", metavar="FOLDER", help="data_root: folder with your own archives and weights")
        sub.add_argument("--cores", default="all", help="CPU cores to use (default: all)")
        sub.add_argument("snakemake", nargs="*", help="further arguments for snakemake, after --")
    return parser


def run_study(options: argparse.Namespace) -> int:
    """Compute a study under a kernel lock, so that a killed run leaves nothing that stops the next one."""
    grid = _grid(options)
    with _alone(options) as lock:
        bring_to_present(map(Path, grid.folders), tell=_tell)
        plan = plan_of(grid)
        owed = _remove_damaged(plan).owed
        repairs = [[*step, "--no-hooks"] for step in plan.in_order(owed)]  # the estimate once, not each
        steps = [*repairs, options.snakemake]
        status = _ended(next((code for code in (_snakemake(options, step, lock) for step in steps) if code), 0))
    return status or show_summary(options)


def fetch_downloads(options: argparse.Namespace) -> int:
    """Run the rules that use the network under the same lock; damaged results are left to the machine that computes."""
    with _alone(options) as lock:
        return _ended(_snakemake(options, ["downloads", *options.snakemake], lock))


@contextmanager
def _alone(options: argparse.Namespace) -> Iterator[int]:
    """Hold the kernel lock and give its descriptor, with Snakemake's own lock cleared where a killed run left it."""
    with exclusive(RUN_LOCK, wait=False) as lock:
        _refuse_beside_snakemake()
        if MARKER.exists():
            # Our lock is free and no snakemake at work: whoever left Snakemake's own lock is gone.
            _snakemake(options, ["--unlock", "--quiet", "all"], lock)
        MARKER.touch()
        yield lock


def _ended(status: int) -> int:
    """Take the marker away, unless a signal ended Snakemake, which may have left its own lock; returns the status."""
    if status >= 0:
        MARKER.unlink(missing_ok=True)
    return status


def _remove_damaged(plan: StudyPlan) -> Faults:
    """Remove a study's damaged files; returns them, with those that are gone already."""
    faults = find_faults(plan.folders, is_planned=plan.makes)
    remove_damaged(faults, tell=_tell)
    return faults


def _refuse_beside_snakemake() -> None:
    """Raise HeirloomError while somebody's own snakemake works in this folder, which holds no lock of ours."""
    import psutil

    here = str(Path.cwd())
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        if process.info["cwd"] == here and is_snakemake(process.info["cmdline"] or []):
            what = f"a snakemake is at work in this folder (process {process.info['pid']})"
            raise HeirloomError(what, mend="wait until it ends, then run again")


def show_summary(options: argparse.Namespace) -> int:
    """Print a finished study's table, its answers and where the files lie."""
    from heirloom.reporting.terminal import print_summary

    grid = _grid(options)
    study = grid.study.name
    print(f"\n{grid.study.title}\n")
    summary, comparisons = (Path(paths.table(study, f"{name}.parquet")) for name in ("summary", "comparisons"))
    print_summary(summary, comparisons, grid.questions, sys.stdout)
    folder = f"{paths.RESULTS}/{study}"
    print(f"\nTables   {folder}/tables\nFigures  {folder}/figures\nReport   {paths.report(study)}")
    return 0


def examine_machine(options: argparse.Namespace) -> int:
    """Print what is and is not as studies need it; the status is 1 when something would stop the study asked about."""
    from heirloom.doctor.run import examine

    study = Path(options.study) if options.study else None
    return examine(project=Path.cwd(), study=study, data=Path(options.data) if options.data else None, tell=print)


def verify_results(options: argparse.Namespace) -> int:
    """Remove a study's damaged results and name the missing ones; the status is 1 where there are any."""
    grid = _grid(options)
    with exclusive(RUN_LOCK, wait=False):
        _refuse_beside_snakemake()
        faults = _remove_damaged(plan_of(grid))
    if not faults.owed:
        print("all results that were made are there and intact")
        return 0
    print(f"{len(faults.missing)} missing and {len(faults.damaged)} damaged files: `make results` makes them again")
    return 1


def clean_results(_options: argparse.Namespace) -> int:
    """Remove everything under results/ but its README and the locks, unless a run is at work there."""
    with exclusive(RUN_LOCK, wait=False):
        _refuse_beside_snakemake()
        for path in Path(paths.RESULTS).iterdir():
            if path.is_dir() and path.name != RUN_LOCK.parent.name:
                shutil.rmtree(path)
        shutil.rmtree(".snakemake", ignore_errors=True)
    return 0


def show_schema(_options: argparse.Namespace) -> int:
    """Print config/schema.json as the models define it."""
    sys.stdout.write(schema_text())
    return 0


def show_environment(_options: argparse.Namespace) -> int:
    """Print envs/heirloom.yaml as requirements.lock defines it."""
    sys.stdout.write(environment_text(Path("requirements.lock")))
    return 0


def _grid(options: argparse.Namespace) -> Grid:
    """The study the options name, checked before anything starts."""
    if options.study is None:
        return open_grid({}, config_files=[], project=Path.cwd())
    from heirloom.config.load import read_yaml

    return open_grid(read_yaml(Path(options.study)), config_files=[options.study], project=Path.cwd())


def _snakemake(options: argparse.Namespace, arguments: Sequence[str], lock: int) -> int:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", options.cores]
    if options.study:
        command += ["--configfile", options.study]
    if options.data:
        command += ["--config", f"data_root={Path(options.data).resolve()}"]
    if gpus_visible() > 1:
        command += ["--resources", f"gpu={gpus_visible()}"]
    # The descriptor keeps the lock held while snakemake lives, even when this process is killed.
    with subprocess.Popen(command, pass_fds=[lock]) as process, _passing_on(process.pid):  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # snakemake got it too: let it end its jobs in order
                _tell("stopping; what is finished stays, and the same command continues")


@contextmanager
def _passing_on(pid: int) -> Iterator[None]:
    """Pass a request to end (SIGTERM) on to a snakemake and its jobs, which it would let run to their ends."""
    import psutil

    def pass_on(number: int, _frame: FrameType | None) -> None:
        _tell("asked to end: trainings write a checkpoint; what is finished stays, and the same command continues")
        with suppress(psutil.NoSuchProcess):
            snakemake = psutil.Process(pid)
            for process in (snakemake, *snakemake.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    usual = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def _tell(line: str) -> None:
    print(f"heirloom: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
