"""The catalogue of events: every one is declared once, emitted by its declaration, and emitted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from core.context import Actor
from core.events import Audience, EventSpec, declare, find, is_public, public_events
from core.unit import Writes
from devtools.home import ROOT
from payments.acceptance.events import PAYMENT_CREATED
from payments.acceptance.services.recording import PAYMENT_EVENTS, REFUND_EVENTS
from payments.acceptance.states import PAYMENT_MOVES, REFUND_MOVES
from payments.checkout.services.recording import SESSION_EVENTS
from payments.checkout.states import SESSION_MOVES

ROOMS: Final = ("core", "tenants", "ledger", "notifications", "payments", "portal", "developers")
_NAME: Final = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")


def _sources() -> dict[Path, ast.Module]:
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return {file: ast.parse(file.read_text()) for file in files if "migrations" not in file.parts}


SOURCES: Final = _sources()


def _declarations() -> dict[str, str]:
    """The events of every `events.py`: constant → name of the event."""
    found: dict[str, str] = {}
    for file, tree in SOURCES.items():
        for line in tree.body if file.name == "events.py" else []:
            match line:
                case ast.AnnAssign(
                    target=ast.Name(id=constant),
                    value=ast.Call(
                        func=ast.Name(id="declare"), args=[ast.Constant(value=str(name)), *_]
                    ),
                ):
                    assert constant not in found, f"{constant} is declared in two rooms"
                    found[constant] = name
    return found


DECLARED: Final = _declarations()


def _calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield node


def _is_declared(node: ast.expr, parameters: set[str]) -> bool:
    """Whether an expression can only be a declared event, or none."""
    match node:
        case ast.Constant(value=None):
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _is_declared(body, parameters) and _is_declared(orelse, parameters)
        case ast.Attribute(value=ast.Name(id="events"), attr=constant):
            return constant in DECLARED
        case ast.Name(id=name):
            return name in parameters
    return False


def _event_parameters(tree: ast.Module) -> set[str]:
    return {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.annotation and "EventSpec" in ast.unparse(argument.annotation)
    }


def _emitted() -> set[str]:
    """The constants that services name; the name alone (`.name`) is for subscribers and queries."""
    named, used = set(), set()
    for file, tree in SOURCES.items():
        if file.name == "events.py":
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Attribute() | ast.Name() as inner, attr="name"):
                    named.add(inner)
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=constant) | ast.Name(id=constant) if node not in named:
                    used.add(constant)
    return used & set(DECLARED)


def test_every_record_passes_a_declared_event_or_none() -> None:
    calls, wrong = 0, []
    for file, tree in SOURCES.items():
        parameters = _event_parameters(tree)
        for call in _calls(tree, "record"):
            event = next((word.value for word in call.keywords if word.arg == "event"), None)
            if event is None:
                # Of another method of that name; mypy holds the keyword of `Writes.record`.
                continue
            calls += 1
            if not _is_declared(event, parameters):
                wrong.append(f"{file.relative_to(ROOT)}:{call.lineno}")
    assert wrong == []
    assert calls >= 50


def test_every_declared_event_is_emitted() -> None:
    assert set(DECLARED) - _emitted() == set()


def test_events_are_declared_at_the_top_of_their_rooms_module_alone() -> None:
    made = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file, tree in SOURCES.items()
        if file != ROOT / "core" / "events.py"
        for call in (*_calls(tree, "declare"), *_calls(tree, "EventSpec"))
    ]
    assert len(made) == len(DECLARED)


def test_start_up_reads_every_declaration() -> None:
    assert [name for name in DECLARED.values() if find(name) is None] == []


@pytest.mark.parametrize("name", DECLARED.values())
def test_an_event_is_named_and_described(name: str) -> None:
    spec = find(name)
    assert spec is not None
    assert _NAME.fullmatch(name)
    assert len(name) <= 64
    assert spec.text.endswith(".")


def test_a_state_that_is_reached_has_its_event() -> None:
    for events, moves in (
        (PAYMENT_EVENTS, PAYMENT_MOVES),
        (REFUND_EVENTS, REFUND_MOVES),
        (SESSION_EVENTS, SESSION_MOVES),
    ):
        assert set(events) == set().union(*moves.values())


def test_a_payments_and_a_refunds_event_is_named_after_the_state() -> None:
    assert [spec.name for spec in PAYMENT_EVENTS.values()] == [
        f"payment.{status.value}" for status in PAYMENT_EVENTS
    ]
    assert [spec.name for spec in REFUND_EVENTS.values()] == [
        f"refund.{status.value}" for status in REFUND_EVENTS
    ]


def _record(event: EventSpec, **given: Any) -> None:
    Writes().record(None, action="test.done", event=event, actor=Actor.system("test"), **given)


def test_a_public_event_has_a_payload() -> None:
    with pytest.raises(ValueError, match=r"payment\.created carries a Payment"):
        _record(PAYMENT_CREATED)


def test_an_event_that_is_not_declared_is_not_emitted() -> None:
    beside = EventSpec("payment.exploded", "It exploded.", Audience.WEBHOOKS, "Payment")
    with pytest.raises(ValueError, match=r"payment\.exploded is not declared"):
        _record(beside)


def test_a_copy_of_a_declared_event_is_not_emitted() -> None:
    copy = EventSpec("payment.created", "Another text.", Audience.INTERNAL, "")
    with pytest.raises(ValueError, match=r"payment\.created is not declared"):
        _record(copy)


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"payment\.created is declared twice"):
        declare("payment.created", "Again.", carries="Payment", seen_by=Audience.WEBHOOKS)


@pytest.mark.parametrize(
    ("seen_by", "carries"), [(Audience.WEBHOOKS, ""), (Audience.INTERNAL, "Payment")]
)
def test_an_event_names_its_component_exactly_when_it_is_public(
    seen_by: Audience, carries: str
) -> None:
    with pytest.raises(ValueError, match="carries a component exactly when it is public"):
        declare("test.incomplete", "Of a test.", carries=carries, seen_by=seen_by)
    assert find("test.incomplete") is None


def test_integrators_see_public_events_alone() -> None:
    assert is_public("payment.completed")
    assert not is_public("invitation.created")
    assert not is_public("no.such_event")
    assert "invitation.created" not in public_events()
