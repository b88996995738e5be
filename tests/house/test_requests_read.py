"""What a request may say is read: a field that is accepted and dropped is a promise not kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from devtools.home import ROOT
from tests.house.test_shapes import SOURCES

#: What is accepted and not read by the view, and why.
_UNREAD: Final = {
    "PaymentMethodAttach.token": "`validate` hands it on under its present name",
    "ClientSession.grant_type": "it has one value, which the field requires",
}


def _room(place: str) -> str:
    """The room of a file: the folder of its nearest `apps.py`."""
    rooms = (folder for folder in Path(place).parents if (ROOT / folder / "apps.py").exists())
    return next(rooms, Path()).as_posix()


def accepted(tree: ast.Module) -> dict[str, set[str]]:
    """The fields of each request of a `serializers.py`."""
    return {
        node.name: {
            target.id
            for line in node.body
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call)
            for target in line.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef) and "StrictSerializer" in map(ast.unparse, node.bases)
    }


def _reads(function: ast.FunctionDef) -> Iterator[tuple[str, set[str] | None]]:
    """Each request that a function parses, and the fields it reads; None: it passes on them all."""
    for call in ast.walk(function):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "parse"
            and ast.unparse(call.func.value).startswith("serializers.")
        ):
            name = ast.unparse(call.func.value).removeprefix("serializers.")
            held = {
                target.id
                for line in ast.walk(function)
                if isinstance(line, ast.Assign) and line.value is call
                for target in line.targets
                if isinstance(target, ast.Name)
            }
            whole = any(
                isinstance(part, ast.Call | ast.keyword | ast.DictComp | ast.Return)
                and held & {node.id for node in _handed(part) if isinstance(node, ast.Name)}
                for part in ast.walk(function)
            )
            yield name, None if whole else _keys(function, held, call)


def _handed(part: ast.AST) -> list[ast.expr]:
    """What is passed on as it is."""
    if isinstance(part, ast.Call):
        return part.args
    if isinstance(part, ast.keyword | ast.Return):
        return [part.value] if part.value is not None else []
    return [generator.iter for generator in getattr(part, "generators", [])]


def _keys(function: ast.FunctionDef, held: set[str], call: ast.Call) -> set[str]:
    """The keys by which the values are read: `v["k"]`, `v.get("k")`, `"k" in v`."""
    found: set[str] = set()
    for part in ast.walk(function):
        match part:
            case ast.Subscript(value=values, slice=ast.Constant(value=str(key))):
                pass
            case ast.Call(
                func=ast.Attribute(value=values, attr="get" | "pop"),
                args=[ast.Constant(value=str(key)), *_],
            ):
                pass
            case ast.Compare(
                left=ast.Constant(value=str(key)), ops=[ast.In()], comparators=[values]
            ):
                pass
            case _:
                continue
        if values is call or (isinstance(values, ast.Name) and values.id in held):
            found.add(key)
    return found


def dropped(sources: Mapping[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """Each field that a view accepts and does not read, and the view's place."""
    fields = {
        (_room(place), name): said
        for place, tree in sources.items()
        if place.endswith("/serializers.py")
        for name, said in accepted(tree).items()
    }
    for place, tree in sources.items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for name, read in _reads(function):
                if read is not None:
                    for field in sorted(fields[_room(place), name] - read):
                        yield f"{name}.{field}", f"{place}:{function.lineno}"


def unused(sources: Mapping[str, ast.Module]) -> Iterator[str]:
    """Fields of a draft that its services do not read."""
    for place, tree in sources.items():
        for node in tree.body if "/services" in place else ():
            if isinstance(node, ast.ClassDef) and node.name.endswith("Draft"):
                read = {
                    part.attr
                    for other, source in sources.items()
                    if _room(other) == _room(place)
                    for part in ast.walk(source)
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "draft"
                }
                for line in node.body:
                    if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) not in read:
                        yield f"{place}:{line.lineno} drops {node.name}.{ast.unparse(line.target)}"


def test_what_a_request_may_say_is_read() -> None:
    found = dict(dropped(SOURCES))
    faults = {field: place for field, place in found.items() if field not in _UNREAD}
    assert faults == {}, "accepted and dropped: read it in the view"
    assert set(_UNREAD) <= set(found)


def test_what_a_draft_says_is_written() -> None:
    assert list(unused(SOURCES)) == []


_SERIALIZERS: Final = "class Pay(StrictSerializer):\n    amount = F()\n    note = F()\n"


@pytest.mark.parametrize(
    ("view", "faults"),
    [
        ('v = serializers.Pay.parse(b)\npay(v["amount"], v.get("note"))', 0),
        ('v = serializers.Pay.parse(b)\nif "note" in v: pay(v["amount"])', 0),
        ("v = serializers.Pay.parse(b)\npay(**v)", 0),
        ("v = serializers.Pay.parse(b)\nreturn _answer(v)", 0),
        ('v = serializers.Pay.parse(b)\npay(v["amount"], other["note"])', 1),
        ('pay(serializers.Pay.parse(b)["amount"])', 1),
        ("serializers.Pay.parse(b)", 2),
    ],
)
def test_a_dropped_field_is_found(view: str, faults: int) -> None:
    body = "\n".join(f"    {line}" for line in view.splitlines())
    found = dropped(
        {
            "payments/acceptance/serializers.py": ast.parse(_SERIALIZERS),
            "payments/acceptance/api/pay.py": ast.parse(f"def post(self, b):\n{body}"),
        }
    )
    assert len(list(found)) == faults


def test_a_field_that_a_service_drops_is_found() -> None:
    source = (
        "class PayDraft:\n    amount: int\n    note: str\ndef pay(draft): return draft.amount\n"
    )
    found = list(unused({"payments/acceptance/services/pay.py": ast.parse(source)}))
    assert found == ["payments/acceptance/services/pay.py:3 drops PayDraft.note"]
