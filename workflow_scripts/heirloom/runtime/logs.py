"""The log of a job: one file with everything, and on the screen only what the user must read."""

from __future__ import annotations

import copy
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from heirloom.runtime.causes import note_cause
from heirloom.runtime.errors import HeirloomError, plain
from heirloom.runtime.files import storage_error

logger = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def open_log(path: Path | None) -> Iterator[None]:
    """Send the root log, warnings and the body's exceptions to a file; without a path only the screen is told.

    A HeirloomError, and a refusal of the disk (full, read-only), is shown on stderr as its message alone and ends the
    process with status 1 (SystemExit); any other exception goes on, so that its traceback is on the screen too. Lines
    are flushed as they are written; a log that cannot be written is told once and stops nothing.
    """
    with ExitStack() as stack:
        try:
            if path is not None:
                stack.enter_context(_root_log_to(path))
            stack.enter_context(_threads_logged())
            yield
        except KeyboardInterrupt:
            logger.error("interrupted")
            raise SystemExit(130) from None
        except Exception as error:
            told = error if isinstance(error, HeirloomError) else storage_error(error)
            if told is None:
                logger.exception("stopped by an unexpected error")
                note_cause(f"a job stopped by an unexpected error: {type(error).__name__}: {error}", path)
                raise
            if logging.getLogger().hasHandlers():  # else logging would show the traceback on the screen
                logger.error("%s", told, exc_info=error)
            sys.stderr.write(f"{told}\n")
            note_cause(str(told), path)
            raise SystemExit(1) from error


def _on_its_line(record: logging.LogRecord) -> logging.LogRecord:
    """Escape what names of files and answers of servers must not do to a log; a refusal and a warning have lines."""
    args = record.args if isinstance(record.args, tuple) else ()
    several = record.name == "py.warnings" or any(isinstance(value, HeirloomError) for value in args)
    message = record.getMessage()
    told = copy.copy(record)  # other handlers are given the record as it was
    told.msg = "\n".join(map(plain, message.split("\n") if several else [message]))
    told.args = None
    return told


class _Lines(logging.Formatter):
    """Writes a record's message as `_on_its_line` has it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text, with the traceback it may have."""
        return super().format(_on_its_line(record))


class _LogFile(logging.FileHandler):
    """A log on a disk that may be full: says so once, where logging would print a traceback for every line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 (logging's own names)
        """Say once that a line is lost."""
        if not self._told:
            self._told = True
            sys.stderr.write(f"cannot write the log {self.baseFilename}: {sys.exc_info()[1]}\n")

    def close(self) -> None:
        """Close the file, whatever could not be written any more."""
        with suppress(OSError):
            super().close()


@contextmanager
def _root_log_to(path: Path) -> Iterator[None]:
    """Add the file's handler to the root logger, and take it away at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, mode="w", encoding="utf-8")
    handler.setFormatter(_Lines(_FORMAT, datefmt="%H:%M:%S"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@contextmanager
def _threads_logged() -> Iterator[None]:
    """Log what ends a thread, besides showing it on the screen."""
    usual = threading.excepthook

    def log_and_show(arguments: threading.ExceptHookArgs, /) -> None:
        name = arguments.thread.name if arguments.thread else "unknown"
        logger.error("thread %s stopped: %r", name, arguments.exc_value, exc_info=arguments.exc_value)
        usual(arguments)

    threading.excepthook = log_and_show
    try:
        yield
    finally:
        threading.excepthook = usual
