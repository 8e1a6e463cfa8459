"""Read a teacher that somebody else trained, from a local file or an address, and store it as ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.config.models import Body, Normalisation, RemoteFile
from heirloom.data.fetch import cache_for, obtain, with_places
from heirloom.models.classifier import Classifier
from heirloom.models.weights import architecture_facts, load_state, read_foreign, save_classifier
from heirloom.runtime.files import sha256_of, write_card


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
    data_root: Path | None = None,
    checksums: Path | None = None,
    local_paths: dict[str, dict[str, str]] | None = None,
    addresses: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Find or download a weight file, load it into its body, and write weights and card.

    `classes` is the number of outputs of the head in the file. The file is read without running anything in it.
    `checksums` is the record of downloads that nobody published a checksum of; `local_paths` tell where files lie and
    `addresses` where they can be downloaded ("teachers.NAME", then the file's name). Raises DataError (not found, wrong
    checksum), WeightsError (holds code, or fits another architecture) and ConfigError.
    """
    key = f"teachers.{teacher}"
    (placed,) = with_places([file], (local_paths or {}).get(key, {}), (addresses or {}).get(key, {}))
    found = obtain(placed, data_root=data_root, cache=cache_for(outputs.card), record=checksums)
    model = Classifier(body, normalisation, classes=classes)
    load_state(model.body, read_foreign(found), where=str(found))
    save_classifier(outputs.weights, model)
    write_card(
        outputs.card,
        kind="teacher",
        files={outputs.weights.name: outputs.weights},
        source="fetched",
        file={"name": file.name, "sha256": sha256_of(found), "sha256_source": file.sha256_source},
        **architecture_facts(model),
    )
