"""Breaks the product's code in one place, for a while: a piece of a source file's text stands for another.

Functions get the code of the changed source in place, wherever they are referred to; files that are read anew at each
rendering (the hub's configuration, build contexts) are changed in the model's copy. No file of the checkout is touched.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

from tests.agreement import border, hub

_Key = tuple[str, int]


@dataclass(frozen=True)
class Mutation:
    """`old`, once in `file`, becomes `new`; `place` is the kind of place that is the first to say something wrong."""

    file: str
    place: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}: {' '.join(self.old.split())[:60]}"

    def text(self) -> str:
        """The changed source."""
        text = (border.CHECKOUT / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times: {self.old}")
        return text.replace(self.old, self.new)


@contextmanager
def made(mutation: Mutation) -> Iterator[None]:
    """The product with this mutation in it. What the border keeps (contexts, bundles) is read anew for the files of a
    build context only: a mutation of the code that reads them would go unnoticed."""
    with ExitStack() as undo:
        path = Path(mutation.file)
        if path.name == hub.CONFIG:
            _rewrite(hub.folder() / path.name, mutation.text(), undo)
        elif path.suffix == ".py":
            _swap(mutation, undo)
        else:
            undo.callback(border.forget)
            _rewrite(border.checkout() / path, mutation.text(), undo)
            border.forget()
        yield


def _rewrite(copy: Path, text: str, undo: ExitStack) -> None:
    undo.callback(copy.write_bytes, copy.read_bytes())
    copy.write_text(text, encoding="utf-8")


def _swap(mutation: Mutation, undo: ExitStack) -> None:
    """Gives the functions of the file the changed source's code."""
    path = str(border.CHECKOUT / mutation.file)
    changed = _codes(compile(mutation.text(), path, "exec", dont_inherit=True))
    stale = [one for one in _functions().get(path, ()) if changed.get(_key(one.__code__), one.__code__) != one.__code__]
    if not stale:
        raise ValueError(f"no function of {mutation.file} changes by: {mutation.new}")
    for function in stale:
        undo.callback(setattr, function, "__code__", function.__code__)
        function.__code__ = changed[_key(function.__code__)]


def _key(code: CodeType) -> _Key:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> dict[_Key, CodeType]:
    found = {_key(code): code}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= _codes(inner)
    return found


@cache
def _functions() -> dict[str, list[FunctionType]]:
    """File -> the functions from it, wherever they are kept. Looked for once, when all that can change is imported."""
    found: dict[str, list[FunctionType]] = {}
    with hub.image_modules():
        # The hub's start hides from the collector what it imports, and all else with it.
        gc.unfreeze()
        everything = gc.get_objects()
    for one in everything:
        if isinstance(one, FunctionType):
            found.setdefault(one.__code__.co_filename, []).append(one)
    return found
