"""Methods whose results an object keeps: a plan asks it for the same few things at every one of thousands of jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def remembered(
    method: Callable[Concatenate[Owner, Arguments], Result],
) -> Callable[Concatenate[Owner, Arguments], Result]:
    """Compute a method once for each object and arguments; the results live and die with the object.

    For objects that never change and hashable arguments. All callers get one and the same result: none may change it.
    functools.cache would keep the object itself alive and ask it for a hash.
    """
    place = f"_remembered_{method.__name__}"

    @wraps(method)
    def look_up(owner: Owner, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        results: dict[object, Result] = vars(owner).setdefault(place, {})
        key = (args, frozenset(kwargs.items()))
        if key not in results:
            results[key] = method(owner, *args, **kwargs)
        return results[key]

    return look_up
