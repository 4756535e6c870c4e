"""A request or document as leaves: path -> plain value, so that two renderings can be compared one place at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Leaf = str | int | float | bool | tuple[Any, ...] | None
Leaves = dict[str, Leaf]


def flat(value: Any, path: str) -> Leaves:
    """Mappings by key, lists of mappings by index; a list of scalars and whatever is empty is one leaf."""
    if isinstance(value, Mapping) and value:
        return {deeper: leaf for key, one in value.items() for deeper, leaf in flat(one, f"{path}.{key}").items()}
    if isinstance(value, set | frozenset):
        return {path: tuple(sorted(value))}
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return {
            deeper: leaf for index, one in enumerate(value) for deeper, leaf in flat(one, f"{path}[{index}]").items()
        }
    if isinstance(value, Mapping | list | tuple):
        return {path: tuple(value)}
    return {path: value}


def with_labels_read(labels: Mapping[str, str]) -> dict[str, Any]:
    """The labels; where one holds a JSON object, the object."""
    return {name: json.loads(text) if text.startswith("{") else text for name, text in labels.items()}


def environment(lines: Iterable[str]) -> dict[str, str]:
    """Docker's list of KEY=value as a mapping."""
    return {key: value for key, _, value in (line.partition("=") for line in lines)}
