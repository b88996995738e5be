"""A mutant in place of a module: in a process that has loaded it, or in one that is about to.

Neither touches the checkout. Tracebacks and `inspect` go on showing the module as it is on disk.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from devtools.home import ROOT


def swap(path: str, source: str) -> bool:
    """Give the loaded module's functions the mutant's code, wherever they were imported to.

    Returns:
        False, with nothing changed, when the mutant differs outside functions: its module has to
        be imported again, and all that imported it.
    """
    file = str(ROOT / path)
    before = compile((ROOT / path).read_text(), file, "exec")
    after = compile(source, file, "exec")
    old, new = _functions(before), _functions(after)
    if _outside(before) != _outside(after) or old.keys() != new.keys():
        return False
    changed = {key for key in old if old[key] != new[key]}
    keys = {(code.co_qualname, code.co_firstlineno): key for key, code in old.items()}
    living = {
        function: key
        for function in gc.get_objects()
        # By its type: a lazy object answers for another class, and is made by the question.
        if type(function) is FunctionType
        and function.__code__.co_filename == file
        and (key := keys.get(_place(function.__code__))) in changed
        and key is not None
    }
    if any(key not in living.values() and ".<locals>." not in key for key in changed):
        return False  # it has run at import already
    for function, key in living.items():
        if new[key].co_freevars != function.__code__.co_freevars:
            return False
    for function, key in living.items():
        function.__code__ = new[key]
    return True


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _functions(module: CodeType) -> dict[str, CodeType]:
    """Every function's code in a module's, by its name and how many of that name came before."""
    found: dict[str, CodeType] = {}
    seen: Counter[str] = Counter()
    for code in _inside(module):
        if _is_function(code):
            seen[code.co_qualname] += 1
            found[f"{code.co_qualname}:{seen[code.co_qualname]}"] = code
    return found


def _inside(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _inside(each)


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 0x2)  # CO_NEWLOCALS: not a module, not a class's body


def _outside(code: CodeType) -> tuple[object, ...]:
    """What runs at import: the module's and its classes' own code, without the functions'."""
    return (
        code.co_code,
        code.co_names,
        tuple(
            (_outside(each) if not _is_function(each) else None)
            if isinstance(each, CodeType)
            else (type(each), each)
            for each in code.co_consts
        ),
    )


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, name: str, path: str, source: str) -> None:
        self._name, self._file, self._source = name, str(ROOT / path), source

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = spec_from_loader(fullname, self, origin=self._file)
        if spec is not None:
            spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._file, "exec"), module.__dict__)


def load_instead(name: str, path: str, source: str) -> None:
    """Let the next import of the module load the mutant."""
    if name in sys.modules:
        raise RuntimeError(f"{name} ({Path(path).name}) is loaded already")
    sys.meta_path.insert(0, _Mutated(name, path, source))
