"""A SLURM of one machine for tests: munge, controller and node with stand-in GPUs, all in one temporary folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
PACKAGES = ("slurm-wlm", "munge")
GPU_MODEL = "standin"
DAEMONS = ("slurmd", "slurmctld", "munge")  # as their logs and pid files are called, in the order in which they end

# No accounting database: squeue and scontrol tell what became of a job, and remember it for an hour.
# A job above its memory is killed by the accounting, since control groups may not be at hand.
CONFIGURATION = """\
ClusterName=heirloom
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{model}:{cpus} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
"""


class NoSlurmError(Exception):
    """Why no SLURM can be had here."""


@dataclass(frozen=True)
class Slurm:
    """A running SLURM."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What SLURM's commands need in their environment."""
        path = f"{self.folder}/bin:{os.environ.get('PATH', os.defpath)}"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        done = subprocess.run(
            command, env=os.environ | self.variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def jobs(self) -> list[Mapping[str, str]]:
        """What the controller knows of every job it was sent, oldest first, by the names that scontrol prints."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        jobs = [dict(re.findall(r"(?:^|\s)([A-Za-z/]+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    def logs(self) -> str:
        """The ends of the daemons' logs."""
        found = [path for name in DAEMONS if (path := self.folder / f"{name}.log").exists()]
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in found)


def installed() -> None:
    """Install SLURM's packages from Debian where they are missing; raises NoSlurmError with the reason."""
    if os.geteuid() != 0:
        raise NoSlurmError("munge, slurmctld and slurmd are installed and started by root alone")
    if all(map(_found, PROGRAMS)):
        return
    if not shutil.which("apt-get"):
        raise NoSlurmError(f"there is no apt-get to install {' and '.join(PACKAGES)} with")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    for command in (install, ["apt-get", "update"], install):
        done = subprocess.run(
            command,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if command == install and done.returncode == 0:
            return
    raise NoSlurmError(f"{' '.join(install)} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


@contextmanager
def running() -> Iterator[Slurm]:
    """Start munge, a controller and a node, and stop them at the end, also when asked to end; raises NoSlurmError."""
    # the socket's path may have 107 characters, so it lies directly in the temporary folder
    folder = Path(tempfile.mkdtemp(prefix="heirloom-slurm-"))
    slurm = Slurm(folder)
    usual = signal.signal(signal.SIGTERM, _interrupt)
    try:
        _configure(folder)
        _start(slurm)
        yield slurm
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # being asked once more would leave daemons behind
        _stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, usual)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does: pytest then closes its fixtures, which SIGTERM by itself leaves open."""
    raise KeyboardInterrupt


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _configure(folder: Path) -> None:
    """Write the configuration, the key and a stand-in GPU for each core: device files that hold nothing."""
    folder.chmod(0o755)  # munge refuses a socket that others cannot reach
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    # Snakemake hides SLURM's variables from srun, which would then look for a configuration in /etc
    shim = folder / "bin" / "srun"
    shim.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_found("srun")} "$@"\n')
    shim.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    cpus = os.cpu_count() or 1
    text = CONFIGURATION.format(
        folder=folder,
        host=host,
        controller_port=_free_port(),
        node_port=_free_port(),
        cpus=cpus,
        memory=psutil.virtual_memory().total // 2**20,
        model=GPU_MODEL,
    )
    (folder / "slurm.conf").write_text(text)
    gpus = [folder / f"gpu{number}" for number in range(cpus)]
    lines = [f"NodeName={host} Name=gpu Type={GPU_MODEL} File={gpu}\n" for gpu in gpus]
    (folder / "gres.conf").write_text("".join(lines))
    (folder / "cgroup.conf").write_text("CgroupPlugin=autodetect\n")
    try:
        for gpu in gpus:
            os.mknod(gpu, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError as error:
        raise NoSlurmError(f"no device file can be made for the stand-in GPU: {error}") from error
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _start(slurm: Slurm) -> None:
    """Start the daemons and wait until the node is idle."""
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={slurm.folder}/munge.{ending}" for option, ending in files.items()]
    for command in (["munged", "--force", *options], ["slurmctld"], ["slurmd"]):
        _run_daemon(slurm, command)
    deadline = time.monotonic() + 60
    while "idle" not in slurm.ask("sinfo", "--noheader", "--format=%T"):
        if time.monotonic() > deadline:
            raise NoSlurmError(f"the node did not become idle:\n{slurm.logs()}")
        time.sleep(0.5)


def _run_daemon(slurm: Slurm, command: list[str]) -> None:
    """Start a daemon that puts itself into the background; a pipe would stay open with it."""
    program = _found(command[0])
    assert program is not None
    with (slurm.folder / f"{command[0]}.out").open("w+") as output:
        done = subprocess.run(
            [program, *command[1:]],
            env=os.environ | slurm.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(0)
        if done.returncode:
            raise NoSlurmError(f"{command[0]} does not start here: {output.read().strip()}\n{slurm.logs()}")


def _stop(folder: Path) -> None:
    """End what is left of jobs and the daemons that were started in this folder."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["scancel", "--user=root", "--signal=KILL", "--full"]
        subprocess.run(command, env=os.environ | Slurm(folder).variables, timeout=30, check=False)
    for name in DAEMONS:
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((folder / f"{name}.pid").read_text()))
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
