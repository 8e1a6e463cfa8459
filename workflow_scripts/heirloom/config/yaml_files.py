"""YAML, read as data alone: whatever a file holds, a user gets a message with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import storage_error

LARGEST = 16 << 20  # bytes of a file
MOST_VALUES = 1_000_000  # of a file whose aliases are written out; the largest catalogue has some thousand


def read(path: Path) -> Any:
    """Read what a YAML file holds; None for an empty one.

    Raises StorageError for a file that may not be read, ConfigError for one that is absent, no YAML, larger than
    LARGEST, or whose aliases stand for more than MOST_VALUES values (a few lines of aliases of aliases fill any memory)
    or for themselves.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"this file has more than {LARGEST} bytes", where=str(path), mend="name another file")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        _count(content, {})
    except FileNotFoundError:
        raise ConfigError("a configuration file is missing", where=str(path), mend="check the path") from None
    except OSError as error:
        unreadable = ConfigError(f"this cannot be read: {error}", where=str(path), mend="name another file")
        raise storage_error(error) or unreadable from error
    # besides its own errors, yaml raises what Python's types raise for values that are none, such as 2024-13-01
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"this is no valid YAML: {error}", where=str(path), mend="correct the line named") from error
    return content


def _count(value: object, known: dict[int, int]) -> int:
    """Count the values below one, each alias as often as it is used; `known` are those that were counted, by id."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # until it is counted: what holds itself has no end
        inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(each, known) for each in inner)
    if known[id(value)] > MOST_VALUES:
        raise ValueError(f"its aliases stand for themselves, or for more than {MOST_VALUES:,} values")
    return known[id(value)]
