"""What a killed training leaves for the next one to continue from."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from heirloom.runtime.ending import current
from heirloom.runtime.files import atomic_path

logger = logging.getLogger(__name__)
NAME = ".checkpoint.pt"


class Checkpoint:
    """One file in an output folder, written every so often and taken up only by the training that wrote it.

    `identity` is everything the final weights depend on: parameters, code digest, sha256s of the inputs. The version of
    torch is added, since another one may round differently. The file holds no state of random number generators: every
    draw of a training is a function of its seed and the iteration.
    """

    def __init__(self, folder: Path, *, seconds: float, identity: dict[str, Any], name: str = NAME) -> None:
        self.path = folder / name
        self._seconds = seconds
        text = json.dumps({**identity, "torch": torch.__version__}, sort_keys=True)
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Tell whether the interval has passed since the last checkpoint or the start, or the job is asked to end."""
        ending = current()
        asked = ending is not None and ending.passes_checkpoint()
        return asked or time.monotonic() - self._saved >= self._seconds

    def save(self, content: dict[str, Any]) -> None:
        """Write what `load` will return: tensors, numbers, strings, and lists and dicts of them.

        Then ends a process that was asked to end (SystemExit).
        """
        with atomic_path(self.path) as partial:
            torch.save({"digest": self._digest, "content": content}, partial)
        self._saved = time.monotonic()
        ending = current()
        if ending is not None and ending.asked:
            ending.leave()

    def load(self) -> dict[str, Any] | None:
        """Return what the same training saved, on the CPU; drop a file that is damaged or another training's."""
        if not self.path.is_file():
            return None
        found = self._read()
        if found is None or found.get("digest") != self._digest:
            why = "is damaged" if found is None else "belongs to other parameters, code or inputs"
            logger.info("the checkpoint %s %s: starting anew", self.path.name, why)
            self.remove()
            return None
        logger.info("continuing from %s", self.path.name)
        content: dict[str, Any] = found["content"]
        return content

    def _read(self) -> dict[str, Any] | None:
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
            logger.debug("reading %s: %s", self.path, error)
            return None
        return found if isinstance(found, dict) and "content" in found else None

    def remove(self) -> None:
        """Delete the file: the training is done, or the file is of no use."""
        self.path.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Delete every checkpoint in an output folder: those of trials before a training have names of their own."""
    for path in folder.glob(f".*{NAME.lstrip('.')}"):
        path.unlink(missing_ok=True)
