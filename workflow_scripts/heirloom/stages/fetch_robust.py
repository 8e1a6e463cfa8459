"""Read a robust model that somebody else trained, from a local file or an address, and store it as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from heirloom.config.models import Body, Normalisation, RemoteFile
from heirloom.data.fetch import cache_for, obtain, with_places
from heirloom.models.body import spec_of
from heirloom.models.classifier import Classifier
from heirloom.models.verdicts import try_out
from heirloom.models.weights import architecture_facts, load_state, part_of_state, save_classifier
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.runtime.registry import resolve


@dataclass(frozen=True)
class Inputs:
    """The card of the prepared data set whose classes the model knows."""

    data_card: Path


@dataclass(frozen=True)
class Outputs:
    """The robust model; its training is not known."""

    card: Path
    weights: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    body: Body,
    normalisation: Normalisation,
    file: RemoteFile,
    model: str,
    data_root: Path | None = None,
    checksums: Path | None = None,
    instructions: dict[str, str] | None = None,
    local_paths: dict[str, dict[str, str]] | None = None,
    addresses: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Find or download a weight file, load it into its body, and write weights and card.

    The head must know as many classes as the data set; that they come in the same order (sorted by name, in the data
    sets of this literature) no file can tell. A normalisation layer that the file holds must be the one named here.
    Nothing in the file is run. `checksums` is the record of downloads that nobody published a checksum of;
    `instructions` tell a user how to get the file ("robust.NAME"), `local_paths` where files lie and `addresses` where
    they can be downloaded (the same, then the file's name). Raises DataError (not found, wrong checksum), WeightsError
    (holds code, fits another architecture, other classes or another normalisation, gives no numbers) and ConfigError.
    """
    key = f"robust.{model}"
    (placed,) = with_places([file], (local_paths or {}).get(key, {}), (addresses or {}).get(key, {}))
    advice = (instructions or {}).get(key, "")
    found = obtain(placed, data_root=data_root, cache=cache_for(outputs.card), record=checksums, advice=advice)
    data = read_card(inputs.data_card)
    classifier = Classifier(body, normalisation, classes=len(data["classes"]))
    read = resolve(spec_of(body).reader)(found)
    state = part_of_state(read, classifier.body, normalisation, where=str(found))
    _check_head(state, classifier, dataset=data["dataset"], where=str(found))
    load_state(classifier.body, state, where=str(found))
    try_out(classifier, data["crop"], where=str(found))
    save_classifier(outputs.weights, classifier)
    write_card(
        outputs.card,
        kind="robust",
        files={outputs.weights.name: outputs.weights},
        source="fetched",
        file={"name": file.name, "sha256": sha256_of(found), "sha256_source": file.sha256_source},
        dataset=data["dataset"],
        class_names=data["classes"],
        crop=data["crop"],
        **architecture_facts(classifier),
    )


def _check_head(state: Mapping[str, Tensor], classifier: Classifier, *, dataset: str, where: str) -> None:
    """Refuse a head for another number of classes; raises WeightsError. A missing one is load_state's to name."""
    head = state.get(f"{classifier.spec.head}.weight")
    if head is not None and len(head) != classifier.classes:
        raise WeightsError(
            f"the head in this file knows {len(head)} classes, the data set {dataset} has {classifier.classes}",
            where=where,
            mend="name the data set that this model was trained on, or the file for this one",
        )
