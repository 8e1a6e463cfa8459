"""Read a teacher that somebody else trained, from a local file or an address, and store it as ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.config.models import Body, Normalisation, RemoteFile
from heirloom.data.fetch import cache_for, obtain, with_places
from heirloom.models.body import spec_of
from heirloom.models.classifier import Classifier
from heirloom.models.verdicts import try_out
from heirloom.models.weights import architecture_facts, load_state, save_classifier
from heirloom.runtime.files import sha256_of, write_card
from heirloom.runtime.registry import resolve

SIDE = 64  # pixels that the model is tried at, which every body takes: a file does not tell its own


@dataclass(frozen=True)
class Outputs:
    """The teacher; its training is not known."""

    card: Path
    weights: Path


def run(
    *,
    outputs: Outputs,
    body: Body,
    normalisation: Normalisation,
    file: RemoteFile,
    classes: int,
    teacher: str,
    dataset: str | None = None,
    data_root: Path | None = None,
    checksums: Path | None = None,
    instructions: dict[str, str] | None = None,
    local_paths: dict[str, dict[str, str]] | None = None,
    addresses: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Find or download a weight file, load it into its body, and write weights and card.

    `classes` is the number of outputs of the head in the file, `dataset` the data set whose classes these are, if that
    is known. The file is read as the body's own kind of file, without running anything in it. `checksums` is the record
    of downloads that nobody published a checksum of; `instructions` tell a user how to get the file ("teachers.NAME"),
    `local_paths` where files lie and `addresses` where they can be downloaded (the same, then the file's name). Raises
    DataError (not found, wrong checksum), WeightsError (holds code, fits another architecture, or gives no
    numbers) and ConfigError.
    """
    key = f"teachers.{teacher}"
    (placed,) = with_places([file], (local_paths or {}).get(key, {}), (addresses or {}).get(key, {}))
    advice = (instructions or {}).get(key, "")
    found = obtain(placed, data_root=data_root, cache=cache_for(outputs.card), record=checksums, advice=advice)
    model = Classifier(body, normalisation, classes=classes)
    load_state(model.body, resolve(spec_of(body).reader)(found), where=str(found))
    try_out(model, SIDE, where=str(found))
    save_classifier(outputs.weights, model)
    write_card(
        outputs.card,
        kind="teacher",
        files={outputs.weights.name: outputs.weights},
        source="fetched",
        file={"name": file.name, "sha256": sha256_of(found), "sha256_source": file.sha256_source},
        **({"dataset": dataset} if dataset else {}),
        **architecture_facts(model),
    )
