"""An object keeps what its methods found: once for each arguments, for itself alone, and no longer than it lives."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, field

from heirloom.runtime.remember import remembered


@dataclass(frozen=True)
class Catalogue:
    """Not hashable, as a study's grid."""

    entries: dict[str, int]
    asked: list[str] = field(default_factory=list)

    @remembered
    def double(self, name: str, *, more: int = 0) -> list[int]:
        """Twice an entry."""
        self.asked.append(name)
        return [2 * self.entries[name] + more]


def test_a_result_is_made_once_for_the_same_arguments():
    catalogue = Catalogue({"a": 1, "b": 2})
    assert catalogue.double("a") is catalogue.double("a")
    assert catalogue.double("b") == [4]
    assert catalogue.double("a", more=1) == [3]
    assert catalogue.asked == ["a", "b", "a"]


def test_objects_that_are_equal_keep_their_own_results():
    one, other = Catalogue({"a": 1}), Catalogue({"a": 1})
    assert one.double("a") == other.double("a")
    assert one.double("a") is not other.double("a")


def test_what_is_kept_changes_no_comparison():
    asked, fresh = Catalogue({"a": 1}), Catalogue({"a": 1})
    asked.double("a")
    asked.asked.clear()
    assert asked == fresh


def test_results_die_with_their_object():
    catalogue = Catalogue({"a": 1})
    catalogue.double("a")
    gone = weakref.ref(catalogue)
    del catalogue
    gc.collect()
    assert gone() is None


def test_a_failure_is_not_kept():
    catalogue = Catalogue({})
    for _ in range(2):
        try:
            catalogue.double("a")
        except KeyError:
            continue
    assert catalogue.asked == ["a", "a"]
