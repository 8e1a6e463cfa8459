"""Weight files: ours (safetensors, the same model gives the same bytes) and other people's (never trusted)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from heirloom.config.models import Body, Normalisation
from heirloom.models.classifier import Classifier
from heirloom.models.torch_files import MEND_DAMAGED, check_plain, read_state
from heirloom.runtime.errors import DamagedFileError, WeightsError, some
from heirloom.runtime.files import atomic_path, regular_file, verify_card

WEIGHTS = "weights.safetensors"
_PREFIXES = re.compile(r"(?:module\.|model\.)*+")
_SAME_NORMALISATION = 1e-3  # papers round the same numbers to two, three or four places
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


_KIND, _INFINITE, _LARGE, _NEGATIVE = "no floats", "not finite", "too large for float32", "no possible statistics"
_VARIANCES = frozenset({"running_var", "restoring_var"})
_MENDS: Mapping[str, str] = MappingProxyType(
    {
        _KIND: "get the weights as floats: these are quantised, masks, or not of this model",
        _INFINITE: "get the file again: it was damaged, or its training diverged",
        _LARGE: "get the weights as float32: as these are, the model would answer with infinities",
        _NEGATIVE: "get the file again: a variance is never negative, and a standard deviation is above 0",
    }
)


def load_state(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    """Copy a state into a module; every name and shape must fit, only counters of batches may be absent.

    Old files lack `num_batches_tracked`, which no evaluation uses. Weights are finite floats, of any precision that
    float32 can hold, and variances not negative. Raises WeightsError that lists what does not fit or is none of these.
    """
    own = module.state_dict()
    absent = [name for name in own if name not in state]
    # only what is of the right shape is looked into: a file can show a few numbers as an array of any size
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    faults = {
        "missing": [name for name in absent if not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
            for name, value in own.items()
            if name in state and name not in fitting
        ],
    }
    found = [f"{kind}: {some(names)}" for kind, names in faults.items() if names]
    if found:
        mend = "name the body and the number of classes that these weights were made for"
        raise WeightsError(f"these weights do not fit; {'; '.join(found)}", where=where, mend=mend)
    told = [(name, _fault(name, value, own[name].dtype)) for name, value in fitting.items()]
    kind = next((kind for _, kind in told if kind), None)
    if kind:
        names = [name for name, other in told if other == kind]
        raise WeightsError(f"these weights cannot be used; {kind}: {some(names)}", where=where, mend=_MENDS[kind])
    module.load_state_dict({**{name: torch.zeros_like(own[name]) for name in absent}, **state})


def _fault(name: str, value: Tensor, wanted: torch.dtype) -> str | None:
    """Say what keeps a tensor of a file from being a module's, which is of the type `wanted`; None if nothing."""
    if value.dtype == torch.bool or (wanted.is_floating_point and not value.is_floating_point()):
        return _KIND
    if not torch.isfinite(value).all():
        return _INFINITE
    if not torch.isfinite(value.to(wanted)).all():
        return _LARGE
    part = name.rpartition(".")[2]
    negative = part in _VARIANCES and bool((value < 0).any())
    return _NEGATIVE if negative or (name == "normalise.std" and bool((value <= 0).any())) else None


def read_foreign(path: Path) -> dict[str, Tensor]:
    """Read a state dict that somebody else wrote: .safetensors, or any other suffix as torch's own format.

    Nothing in the file is run, and torch's format is read within bounds of time and memory (`pickled`). A state wrapped
    in a checkpoint ("state_dict", "model", ...) and the prefixes that wrappers leave on every name ("module.",
    "model.") are unwrapped. Raises WeightsError for a file that holds code, no state dict, tensors that are no plain
    arrays (sparse, quantised), is cut, or is no regular file.
    """
    if path.suffix == ".safetensors":
        state = _read_safetensors(path)
        check_plain(state, where=str(path))
    else:
        state = read_state(path, mend=_MEND_PICKLE if path.suffix == ".pkl" else "")
    return _without_prefixes(state)


def written_for(path: Path) -> Body | None:
    """Return the body that a file of `save_classifier` holds; None for a file that somebody else wrote.

    Raises WeightsError for a safetensors file that cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        regular_file(path, error=WeightsError).close()
        with safe_open(path, framework="pt") as content:
            note = (content.metadata() or {}).get("heirloom")
    except (SafetensorError, OSError) as error:
        what = f"this is no readable safetensors file: {error}"
        raise WeightsError(what, where=str(path), mend=MEND_DAMAGED) from error
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
        regular_file(path, error=WeightsError).close()  # safetensors opens by name, and would wait for a pipe
        return load_file(path)
    except (SafetensorError, OSError) as error:
        what = f"this is no readable safetensors file: {error}"
        raise WeightsError(what, where=str(path), mend=MEND_DAMAGED) from error


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off a wrapper's prefix where every name has it, as often as there is one."""
    found = _PREFIXES.match(os.path.commonprefix(list(state)))  # noqa: RUF071 - of characters, not of folders
    length = len(found[0]) if found else 0
    return {name[length:]: value for name, value in state.items()}
