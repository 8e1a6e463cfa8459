"""Lets no process of a test's project onto the network, and writes down who tried.

Its text becomes the project's sitecustomize.py, which each Python process loads at its start: Snakemake, and every job.
This machine itself (servers of tests, sockets in files) stays within reach.
"""

import errno
import os
import socket
import sys
from pathlib import Path

LOG = Path(__file__).resolve().with_name("network.log")
LOCAL = ("127.0.0.1", "::1", "localhost", "", None)


def _note(*words: object) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(" ".join(map(str, words)) + "\n")


def _watched(name: str) -> None:
    usual = getattr(socket.socket, name)

    def watched(self: socket.socket, *arguments: object) -> object:
        address = arguments[-1]
        if self.family != socket.AF_UNIX and isinstance(address, tuple) and address[0] not in LOCAL:
            _note("refused", name, address)
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return usual(self, *arguments)

    setattr(socket.socket, name, watched)


def _without_names() -> None:
    usual = socket.getaddrinfo

    def watched(host: object, *arguments: object, **options: object) -> object:
        if host not in (*LOCAL, socket.gethostname()):
            _note("refused", "getaddrinfo", host)
            raise socket.gaierror(socket.EAI_AGAIN, "no network")
        return usual(host, *arguments, **options)

    socket.getaddrinfo = watched


for method in ("connect", "connect_ex", "sendto"):
    _watched(method)
_without_names()
_note("started", *sys.orig_argv[:6])
