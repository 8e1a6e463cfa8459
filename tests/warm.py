"""A Python that has imported the libraries already: most of what a tiny job takes is importing torch.

`warm_python` starts a server that has them in memory and writes a program that takes the place of `python`: it hands
its arguments, environment, folder and standard files to the server, which forks. Nothing of the project is imported
beforehand, and jobs' own children (readers of foreign weights, measurements) run under the real Python.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIBRARIES = (
    "snakemake.cli", "torch", "torchvision", "safetensors.torch", "pandas", "pyarrow.parquet", "scipy.stats",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "pydantic", "PIL.Image",
)  # fmt: skip
STANDARD = (0, 1, 2)
SECONDS = 5.0  # between two looks at whether the parent lives
CLIENT = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    words = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(words).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(words)
    code = server.recv(1)
os._exit(code[0] if code else 1)
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[Path]:
    """Give the path of a program that is called like `python`; its server ends with the context."""
    address, program = folder / "socket", folder / "python"
    program.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    server = subprocess.Popen([sys.executable, __file__, str(address), str(program)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline(), "the server of warm Pythons did not start"
        yield program
    finally:
        server.kill()
        server.wait()


def serve(address: str, program: str) -> None:
    """Fork for every caller, as long as who started this lives."""
    parent = os.getppid()
    for name in LIBRARIES:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        server.settimeout(SECONDS)
        print("ready", flush=True)
        while os.getppid() == parent:
            try:
                caller, _ = server.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                server.close()
                supervise(caller, program)
            caller.close()


def supervise(caller: socket.socket, program: str) -> None:
    """Run what a caller asks for in a child of this process, and tell its exit code; a caller that dies ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    arguments, environment, folder, files = received(caller)
    child = os.fork()
    if child == 0:
        caller.close()
        run(arguments, environment, folder, files, program)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(child)
    with selectors.DefaultSelector() as either:
        either.register(ended, selectors.EVENT_READ)
        either.register(caller, selectors.EVENT_READ)
        if all(key.fileobj is caller for key, _ in either.select()):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(OSError):
        caller.sendall(bytes([code % 256 if code >= 0 else 128 - code]))
    os._exit(0)


def received(caller: socket.socket) -> tuple[list[str], dict[str, str], str, list[int]]:
    """Read a caller's arguments, environment, folder and standard files."""
    size, files, _, _ = socket.recv_fds(caller, 8, len(STANDARD))
    words = bytearray()
    while len(words) < int.from_bytes(size, "big"):
        words += caller.recv(1 << 16)
    arguments, environment, folder = json.loads(words)
    return arguments, environment, folder, list(files)


def run(arguments: list[str], environment: dict[str, str], folder: str, files: list[int], program: str) -> None:
    """Become the process that `python` with these arguments would be, and end."""
    for number, file in zip(STANDARD, files, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.orig_argv = [program, *arguments]
    code = 1
    try:
        code = _exit_code(arguments, program)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for pools, as the end of Python does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _exit_code(arguments: list[str], program: str) -> int:
    """Run a module, a text or a script as `python` would."""
    first, *rest = arguments
    sys.path[:0] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    with suppress(ModuleNotFoundError):
        __import__("sitecustomize")
    try:
        if first == "-m":
            sys.executable, sys.argv = program, rest  # so that what it starts is warm too
            sys.path.insert(0, str(Path.cwd()))
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.executable, sys.argv = program, ["-c", *rest[1:]]
            sys.path.insert(0, "")
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(first).parent))
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) % 256
        print(end.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    serve(*sys.argv[1:])
