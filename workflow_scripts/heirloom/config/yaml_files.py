"""YAML, read as data alone: whatever a file holds, a user gets a message with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import storage_error

LARGEST = 16 << 20  # bytes of a file
MOST_VALUES = 1_000_000  # of a file whose aliases are written out; the largest catalogue has some thousand
MOST_MERGED = 10_000  # keys of one mapping, those of the mappings that it merges (<<) among them
DEEPEST = 100  # brackets and indents one in another


_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader (the one in C, many times as fast), that takes no key twice and no heap of merged keys."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()  # mappings by id; once flattened, a key may well be overridden

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Check a mapping before its merged keys are written out."""
        if id(node) not in self._checked:
            self._checked.add(id(node))
            _refuse_duplicates(node)
            _count_merged(node, {})
        super().flatten_mapping(node)


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE):
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in lines:
            raise ValueError(f'the key "{key.value}" stands in line {lines[name]} and again in line {line}')
        lines[name] = line


def _count_merged(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the keys of a mapping with those it merges; `known` are mappings that were counted, by id."""
    if isinstance(node, yaml.SequenceNode):
        return sum(_count_merged(each, known) for each in node.value)
    if not isinstance(node, yaml.MappingNode):
        return 0
    if id(node) not in known:
        known[id(node)] = MOST_MERGED + 1  # until it is counted: what merges itself has no end
        merged = (_count_merged(value, known) for key, value in node.value if key.tag == _MERGE)
        known[id(node)] = len(node.value) + sum(merged)
    if known[id(node)] > MOST_MERGED:
        raise ValueError(f"its merged keys (<<) stand for themselves, or for more than {MOST_MERGED:,} keys")
    return known[id(node)]


def _refuse_depth(text: str) -> None:
    """Raise ValueError for brackets within brackets that would overflow the loader's stack; the parser has none."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} brackets or indents one in another, {event.start_mark}")


def read(path: Path) -> Any:
    """Read what a YAML file holds; None for an empty one.

    Raises StorageError for a file that may not be read, ConfigError for one that is absent, no YAML, larger than
    LARGEST, nested deeper than DEEPEST, with a key twice in one mapping, or whose aliases stand for more than
    MOST_VALUES values or MOST_MERGED keys (a few lines of aliases of aliases fill any memory) or for themselves.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"this file has more than {LARGEST} bytes", where=str(path), mend="name another file")
        text = path.read_text(encoding="utf-8")
        _refuse_depth(text)
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
        _count(content, {})
    except FileNotFoundError:
        raise ConfigError("a configuration file is missing", where=str(path), mend="check the path") from None
    except OSError as error:
        unreadable = ConfigError(f"this cannot be read: {error}", where=str(path), mend="name another file")
        raise storage_error(error) or unreadable from error
    # besides its own errors, yaml raises what Python's types raise for values that are none, such as 2024-13-01
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(f"this is no valid YAML: {told}", where=str(path), mend="correct the line named") from error
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
