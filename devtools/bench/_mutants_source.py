"""The mutants of `./dev bench mutants`: which changes, and the seeded sample of them.

cosmic-ray's operators make the changes. One is added here, for what its own never do: leave a
call out, such as the one that writes the audit record. Left out is what no test could notice, by
its kind: `==` made an order (`>=`) of names and states, which have none; the flags of a
`@dataclass`, the calling convention of a parameter and its annotation, which the type check holds;
calls that write a log line or let a test crash the process.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import parso
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator

from devtools.bench._mutants_modules import MODULES
from devtools.home import ROOT

#: Of an equality the opposite alone is a fault: `is` is the same here, and an order means nothing.
_EQUALITIES: Final = ("Eq", "NotEq", "Is", "IsNot")
_OPPOSITES: Final = {("Eq", "NotEq"), ("NotEq", "Eq"), ("Is", "IsNot"), ("IsNot", "Is")}
_COMPARISON: Final = "core/ReplaceComparisonOperator_"
#: What a call without an effect on the platform begins with.
_SILENT: Final = ("log.", "logger.", "crash_point(")


class DropCall(Operator):
    """Leave out a statement that is one call."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type != "simple_stmt":
            return
        call = node.children[0]
        if call.type != "atom_expr" or call.children[-1].type != "trailer":
            return
        if call.children[-1].children[0] == "(" and not _code(call).startswith(_SILENT):
            yield call.start_pos, call.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        nothing = parso.parse("None").children[0]
        nothing.prefix = node.children[0].get_first_leaf().prefix
        node.children[0] = nothing
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("record(1)\n", "None\n"),)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module."""

    path: str
    operator: str
    line: int
    definition: str
    source: str
    before: str
    after: str

    @property
    def key(self) -> str:
        """The same as long as the module and the change are."""
        return hashlib.sha256(f"{self.path}\0{self.source}".encode()).hexdigest()[:16]

    def diff(self) -> str:
        """The changed lines, as `diff -u0` shows them."""
        lines = difflib.unified_diff(
            (ROOT / self.path).read_text().splitlines(), self.source.splitlines(), n=0, lineterm=""
        )
        return "\n".join(line for line in list(lines)[2:] if not line.startswith("@@"))


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    path: str
    #: Which of the module's statements: cosmic-ray's work grows with what it is given.
    part: int
    start: tuple[int, int]
    operator: str
    occurrence: int


def sample(count: int, *, seed: int) -> list[Mutant]:
    """`count` mutants, drawn by the seed: no place is drawn twice as long as others are left."""
    drawn = sorted(place for path in MODULES for place in _places(path))
    random.Random(seed).shuffle(drawn)
    once: dict[tuple[Any, ...], _Place] = {}
    for place in drawn:
        once.setdefault((place.path, place.part, place.start, _family(place.operator)), place)
    first = set(once.values())
    ordered = [*once.values(), *(place for place in drawn if place not in first)]
    found: dict[str, Mutant] = {}
    for place in ordered:
        if len(found) == count:
            break
        mutant = _mutant(place)
        if mutant is not None:
            found.setdefault(mutant.key, mutant)
    return list(found.values())


@functools.cache
def _operators() -> dict[str, type[Operator]]:
    names = [name for name in plugins.operator_names() if _is_fault(name)]
    operators = {name: plugins.get_operator(name) for name in names}
    return {name: operator for name, operator in operators.items() if not operator.arguments()} | {
        "own/DropCall": DropCall
    }


def _is_fault(operator: str) -> bool:
    if not operator.startswith(_COMPARISON):
        return True
    old, _, new = operator.removeprefix(_COMPARISON).partition("_")
    return old not in _EQUALITIES or (old, new) in _OPPOSITES


@functools.cache
def _parts(path: str) -> list[str]:
    """The module's statements: definitions, assignments, imports."""
    return [child.get_code() for child in get_ast((ROOT / path).read_text()).children]


def _places(path: str) -> Iterator[_Place]:
    for part, text in enumerate(_parts(path)):
        nodes = list(ast_nodes(get_ast(text)))
        for name, operator in _operators().items():
            found = (start for node in nodes for start, _ in operator().mutation_positions(node))
            for occurrence, start in enumerate(found):
                yield _Place(path, part, tuple(start), name, occurrence)


def _family(operator: str) -> str:
    """`core/ReplaceBinaryOperator_Add_Sub` is one of many that change the same sign."""
    return operator.partition("_")[0]


def _mutant(place: _Place) -> Mutant | None:
    """None when the change is none: in an annotation, or no Python."""
    parts = list(_parts(place.path))
    original = parts[place.part]
    mutated = mutate_code(original, _operators()[place.operator](), place.occurrence)
    if mutated is None or not _differs(original, mutated):
        return None
    parts[place.part] = mutated
    old, new = original.splitlines(), mutated.splitlines()
    first, last = _ends(old, new)
    return Mutant(
        path=place.path,
        operator=place.operator,
        line=sum(part.count("\n") for part in parts[: place.part]) + first + 1,
        definition=_definition(original, first + 1),
        source="".join(parts),
        before=_squeeze(old[first : len(old) - last]),
        after=_squeeze(new[first : len(new) - last]),
    )


def _differs(original: str, mutated: str) -> bool:
    try:
        return _behaviour(original) != _behaviour(mutated)
    except SyntaxError:
        return False


def _behaviour(source: str) -> str:
    """The program without what only the type check reads."""
    return ast.dump(_WithoutTypes().visit(ast.parse(source)))


class _WithoutTypes(ast.NodeTransformer):
    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        """How an argument is passed, by its place or its name, is the type check's."""
        defaults = [None] * (len(node.posonlyargs + node.args) - len(node.defaults))
        node.kw_defaults = [*defaults, *node.defaults, *node.kw_defaults]
        node.kwonlyargs = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.posonlyargs, node.args, node.defaults = [], [], []
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """`frozen` and `slots` keep hands off; no rule of the business is in them."""
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "dataclass":
                decorator.keywords = []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _ends(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines at the beginning and at the end are the same."""
    shorter = min(len(old), len(new))
    first = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    rest = shorter - first
    last = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    return first, last


def _squeeze(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _definition(source: str, line: int) -> str:
    """The function or class around a line; empty for the module's own lines."""
    names = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and min([node.lineno, *(each.lineno for each in node.decorator_list)]) <= line
        and line <= (node.end_lineno or node.lineno)
    ]
    return ".".join(node.name for node in sorted(names, key=lambda node: node.lineno))


def _code(node: Any) -> str:
    return str(node.get_code(include_prefix=False))
