"""Weight files: ours (safetensors, the same model gives the same bytes) and other people's (never trusted)."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from heirloom.config.models import Body, Normalisation
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import DamagedFileError, WeightsError
from heirloom.runtime.files import atomic_path, verify_card

WEIGHTS = "weights.safetensors"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module")
_MOST_WRAPPERS = 16  # a dictionary of a pickle can lie in itself
_PREFIXES = re.compile(r"(?:module\.|model\.)*+")
_SHOWN = 8
_ZIP = b"PK\x03\x04"  # how torch's own format begins since 1.6
_RATIO = 20  # bytes that a byte of a file may unpack to; torch packs nothing, and numbers pack badly
_RATIO_FLOOR = 1 << 26  # bytes: what unpacks to less harms nobody
_NUMBERS = frozenset(
    {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    | {torch.float16, torch.bfloat16, torch.float32, torch.float64}
)
_SAME_NORMALISATION = 1e-3  # papers round the same numbers to two, three or four places
_MEND = "in a place you trust, load it and save its state_dict with safetensors; then name that file"
_MEND_DAMAGED = "get the file again from its owner's page: it is cut short, damaged or no weight file"
_MEND_PICKLE = (
    "a pickle of NumPy arrays, such as VGGFace2's resnet50_ft_weight.pkl, belongs to the body vggface2-resnet50: its"
    " network is not torchvision's, although the names of its weights are"
)


def save_classifier(weights: Path, model: Classifier) -> None:
    """Write a classifier's parameters and buffers.

    safetensors writes several metadata keys in no fixed order, so there is one, "heirloom", which holds JSON.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    note = json.dumps(architecture_facts(model), sort_keys=True)
    with atomic_path(weights) as partial:
        save_file(state, partial, metadata={"heirloom": note})


def architecture_facts(model: Classifier) -> dict[str, Any]:
    """Describe a classifier's architecture for its card; `load_classifier` builds it again from this."""
    return {
        "body": model.description.model_dump(mode="json"),
        "classes": model.classes,
        "normalisation": model.normalisation.model_dump(mode="json"),
    }


def load_classifier(weights: Path, card: Path) -> Classifier:
    """Build the classifier that a card describes, with the weights beside it, in eval mode on the CPU.

    Raises DamagedFileError when the weights are not the card's, WeightsError when they do not fit the architecture.
    """
    facts = verify_card(card, weights.name)
    missing = sorted({"body", "classes", "normalisation"} - facts.keys())
    if missing:
        raise DamagedFileError(card, found=f"no {', '.join(missing)}")
    body, normalisation = Body.model_validate(facts["body"]), Normalisation.model_validate(facts["normalisation"])
    model = Classifier(body, normalisation, classes=facts["classes"])
    load_state(model, _read_safetensors(weights), where=str(weights))
    return model.eval()


def load_state(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Copy a state into a module; every name and shape must fit, only counters of batches may be absent.

    Old files lack `num_batches_tracked`, which no evaluation uses. Raises WeightsError that lists what does not fit.
    """
    own = module.state_dict()
    absent = [name for name in own if name not in state]
    faults = {
        "missing": [name for name in absent if not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
            for name, value in own.items()
            if name in state and state[name].shape != value.shape
        ],
        "not finite": [
            name
            for name, value in state.items()
            # only of the right shape: a file can show a few numbers as an array of any size
            if name in own and value.shape == own[name].shape and not torch.isfinite(value).all()
        ],
    }
    found = [f"{kind}: {_some(names)}" for kind, names in faults.items() if names]
    if found:
        mend = "name the body and the number of classes that these weights were made for"
        if list(found) == [found[-1]] and faults["not finite"]:
            mend = "get the file again: it was damaged, or its training diverged"
        raise WeightsError(f"these weights do not fit; {'; '.join(found)}", where=where, mend=mend)
    module.load_state_dict({**{name: torch.zeros_like(own[name]) for name in absent}, **state})


def _some(names: Iterable[str]) -> str:
    """List the first names and count the others."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def read_foreign(path: Path) -> dict[str, Tensor]:
    """Read a state dict that somebody else wrote: .safetensors, or any other suffix as torch's own format.

    Nothing in the file is run (`weights_only`). A state wrapped in a checkpoint ("state_dict", "model", ...) and the
    prefixes that wrappers leave on every name ("module.", "model.") are unwrapped. Raises WeightsError for a file that
    holds code, no state dict, tensors that are no plain arrays (sparse, quantised), or is cut.
    """
    content: object = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    state = _unwrapped(content)
    odd = [name for name, value in state.items() if not _is_plain(value)]
    if odd:
        raise WeightsError(f"this file holds tensors of a kind of their own: {_some(odd)}", where=str(path), mend=_MEND)
    if not state:
        raise WeightsError("this file holds no state dict", where=str(path), mend="save model.state_dict() to a file")
    return _without_prefixes(state)


def written_for(path: Path) -> Body | None:
    """Return the body that a file of `save_classifier` holds; None for a file that somebody else wrote.

    Raises WeightsError for a safetensors file that cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as content:
            note = (content.metadata() or {}).get("heirloom")
    except (SafetensorError, OSError) as error:
        what = f"this is no readable safetensors file: {error}"
        raise WeightsError(what, where=str(path), mend=_MEND_DAMAGED) from error
    try:
        return Body.model_validate(json.loads(note)["body"]) if note else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # somebody else's note under the same key


def part_of_state(
    state: Mapping[str, Tensor], module: nn.Module, normalisation: Normalisation, *, where: str
) -> dict[str, Tensor]:
    """Take a module's own entries out of a state of more: nn.Sequential(normalisation layer, module) and the like.

    Whatever stands before every one of the module's names is taken off. Buffers of a normalisation layer in front must
    say what `normalisation` says; then they are left out. All else that is not the module's stays, for `load_state` to
    name. Raises WeightsError for another normalisation.
    """
    names = list(module.state_dict())
    prefix = _prefix_before(names, state)
    own = {name: state[prefix + name] for name in names if prefix + name in state}
    taken = {prefix + name for name in own}
    for name, value in ((name, value) for name, value in state.items() if name not in taken):
        wanted = _normalised_by(name, value, normalisation)
        if wanted is None:
            own[f"{name} (beside {prefix}{name})" if name in own else name] = value
        elif not torch.allclose(value.flatten().float(), torch.tensor(wanted), atol=_SAME_NORMALISATION):
            raise WeightsError(
                f"this model normalises by {name} = {_listed(value)}, not by {_listed(torch.tensor(wanted))}",
                where=where,
                mend="set the model's normalisation to the file's",
            )
    return own


def _prefix_before(names: Sequence[str], state: Mapping[str, Tensor]) -> str:
    """Find what stands before the most of some names in a state; the shortest of several, nothing if none is found."""
    candidates = {found.removesuffix(names[0]) for found in state if found.endswith(names[0])} | {""}
    return max(sorted(candidates), key=lambda prefix: (sum(prefix + name in state for name in names), -len(prefix)))


def _normalised_by(name: str, value: Tensor, normalisation: Normalisation) -> tuple[float, float, float] | None:
    """Return what a normalisation layer's buffer should hold, told by its name; None for anything else."""
    last = name.rpartition(".")[2].lower()
    if value.numel() != len(normalisation.mean):
        return None
    kinds = {"mean": normalisation.mean, "mu": normalisation.mean, "std": normalisation.std, "sigma": normalisation.std}
    return next((wanted for kind, wanted in kinds.items() if kind in last.split("_")), None)


def _listed(values: Tensor) -> str:
    return ", ".join(f"{value:.4f}" for value in values.flatten().tolist())


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        what = f"this is no readable safetensors file: {error}"
        raise WeightsError(what, where=str(path), mend=_MEND_DAMAGED) from error


def _read_pickle(path: Path) -> object:
    of_arrays = _MEND_PICKLE if path.suffix == ".pkl" else ""
    try:
        _refuse_swelling(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = "this file holds more than tensors (it could run code) or is no weight file"
        raise WeightsError(what, where=str(path), mend=of_arrays or _MEND) from error
    except Exception as error:  # which ones a reader of damaged pickles raises, torch does not say
        first = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"this is no readable weight file: {first}"
        raise WeightsError(what, where=str(path), mend=of_arrays or _MEND_DAMAGED) from error


def _refuse_swelling(path: Path) -> None:
    """Refuse a file that unpacks to far more than it has: torch unpacks it, though it would never pack it itself."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            return
    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > max(_RATIO_FLOOR, _RATIO * path.stat().st_size):
        raise zipfile.BadZipFile(f"it unpacks to {size} bytes, more than {_RATIO} times its size")


def _is_plain(value: Tensor) -> bool:
    """Tell whether a tensor is an array of numbers in memory, as any operation expects, and all of them are there.

    A file can show a few numbers as an array of any size, which the first copy would write out.
    """
    if value.layout != torch.strided or value.device.type != "cpu" or value.dtype not in _NUMBERS:
        return False
    return value.untyped_storage().nbytes() >= math.prod(value.shape) * value.element_size()


def _unwrapped(content: object) -> dict[str, Tensor]:
    """Find the state dict in what a checkpoint holds; empty when there is none.

    A pickle can give a dictionary attributes called as its methods are, so that these are taken from the class.
    """
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(content, dict):
            break
        inner = [found for key in _WRAPPERS if isinstance(found := dict.get(content, key), dict)]
        if not inner:
            named = ((name, value) for name, value in dict.items(content) if isinstance(name, str))
            return {name: value for name, value in named if isinstance(value, Tensor)}
        content = inner[0]
    return {}


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off a wrapper's prefix where every name has it, as often as there is one."""
    found = _PREFIXES.match(os.path.commonprefix(list(state)))  # noqa: RUF071 - of characters, not of folders
    length = len(found[0]) if found else 0
    return {name[length:]: value for name, value in state.items()}
