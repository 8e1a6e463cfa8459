"""Seeds say what a draw is for, and registries say which names there are."""

import re
import subprocess
import sys

import numpy as np
import pytest

from heirloom.runtime.errors import ConfigError
from heirloom.runtime.registry import known, resolve
from heirloom.runtime.seeds import derive_seed


def test_a_seed_is_the_same_for_ever() -> None:
    assert derive_seed(0, "augment", 7) == 6015351404050107515
    code = "from heirloom.runtime.seeds import derive_seed; print(derive_seed(0, 'augment', 7))"
    assert int(subprocess.check_output([sys.executable, "-c", code])) == derive_seed(0, "augment", 7)


def test_a_seed_depends_on_every_part_its_kind_and_its_order() -> None:
    groups = [(), (1,), ("1",), (1, 2), (2, 1), (12,), ("12",), ("1", "2"), ("1, 2",), (-1,), ("a", "b"), ("a,b",)]
    seeds = [derive_seed(*parts) for parts in groups]
    assert len(set(seeds)) == len(groups)


def test_seeds_fit_into_63_bits_and_use_them() -> None:
    seeds = [derive_seed("draw", number) for number in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == 2000
    shares = [sum(seed >> bit & 1 for seed in seeds) / 2000 for bit in range(63)]
    assert all(0.4 < share < 0.6 for share in shares)


def test_numpy_integers_are_integers_and_floats_are_refused() -> None:
    assert derive_seed(np.int64(3)) == derive_seed(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        derive_seed(0.5)


def test_a_reference_is_resolved_when_used() -> None:
    assert resolve("heirloom.runtime.seeds:derive_seed") is derive_seed


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("heirloom.runtime.seeds", "is no reference"),
        ("heirloom.runtime.seeds:", "is no reference"),
        (":derive_seed", "is no reference"),
        ("heirloom.runtime.sseds:derive_seed", "no module heirloom.runtime.sseds"),
        ("heirlooms.runtime:derive_seed", "no module heirlooms"),
        ("heirloom.runtime.seeds:derive_sed", "did you mean derive_seed?"),
    ],
)
def test_a_wrong_reference_is_explained(reference: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(reference)


def test_a_module_that_lacks_its_own_import_is_not_called_absent(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "broken_entry.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        resolve("broken_entry:run")


def test_known_gives_the_entry_or_names_the_nearest() -> None:
    registry = {"fine-tuning": 1, "re-training": 2, "delta": 3}
    assert known(registry, "delta") == 3
    with pytest.raises(ConfigError, match=r"there is no method 'fine-tunning'") as raised:
        known(registry, "fine-tunning", kind="method")
    assert raised.value.mend == "did you mean fine-tuning or re-training?"
    with pytest.raises(ConfigError, match="choose one of delta, fine-tuning, re-training"):
        known(registry, "zzz")
