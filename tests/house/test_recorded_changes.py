"""A house rule, read off the code: a service that writes a row records the change.

`Writes` refuses rows whose change was not recorded whenever it runs. This finds the service before
anything runs, and what writes past `Writes`: SQL text, and the ORM's own methods.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from devtools.home import ROOT
from tests.house.test_outside_clients import product

#: Functions that write rows past `Writes` and record nothing, and why.
EXEMPT: Final[dict[tuple[str, str], str]] = {
    ("notifications/services/delivery.py", "_note_success"): "columns that need no record, as SQL",
    (
        "notifications/lock_objects.py",
        "lease_disabled_endpoints",
    ): "a column that needs no record, as SQL",
    (
        "payments/acceptance/api/floor.py",
        "FloorView.post",
    ): "a benchmark's own row",
    (
        "tenants/sessions_backend.py",
        "SessionStore.delete",
    ): "a logout is recorded",
}

#: Methods of the ORM that write → whether one is meant where the receiver's model is not known.
_ORM: Final = {
    "bulk_create": True, "bulk_update": True, "create": False, "delete": True, "save": True,
    "get_or_create": True, "update": True, "update_or_create": True,
}  # fmt: skip
_CHANGED: Final = re.compile(r'\b(?:insert\s+into|update|delete\s+from)\s+"?(\w+)', re.IGNORECASE)

Sources = Mapping[str, ast.Module]


@dataclass(frozen=True, slots=True)
class Table:
    """A model's table: whether its rows are recorded, and which columns need no record."""

    name: str
    recorded: bool
    unrecorded: frozenset[str]


Tables = Mapping[str, Table]


@dataclass(slots=True)
class Function:
    """What a function does, those inside it included.

    Attributes:
        opens: it opens a unit of work; `joins`: it is handed one.
        writes: it adds rows to a unit; `past`: it writes rows past any.
        records: it records a change.
        calls: what it calls: where that may be (a prefix of the path), and its name.
    """

    opens: bool = False
    joins: bool = False
    writes: bool = False
    past: bool = False
    records: bool = False
    calls: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Module:
    """What the functions of a file share: texts, imports, and the classes that they return."""

    place: str
    texts: Mapping[str, str]
    imports: Mapping[str, str]
    returns: Mapping[str, str]


Functions = Mapping[tuple[str, str], Function]


def faults(functions: Functions) -> Iterator[tuple[str, str]]:
    """Place and name of each function that writes rows and records nothing."""
    joining: dict[str, list[tuple[str, str]]] = {}
    for key, function in functions.items():
        if function.joins:
            joining.setdefault(key[1].rpartition(".")[2], []).append(key)

    def handed_on(key: tuple[str, str]) -> Iterator[tuple[str, str]]:
        """The functions that one calls and that are handed a unit of work."""
        for prefix, name in functions[key].calls:
            yield from (other for other in joining.get(name, ()) if other[0].startswith(prefix))

    def whole(key: tuple[str, str], seen: set[tuple[str, str]]) -> Iterator[Function]:
        """A function, and those that add to its unit of work."""
        seen.add(key)
        yield functions[key]
        for other in handed_on(key):
            if other not in seen:
                yield from whole(other, seen)

    # What is handed a unit is judged where that is opened, unless it is called through a registry.
    called = {other for key in functions for other in handed_on(key) if other != key}
    for key, function in functions.items():
        parts = list(whole(key, set()))
        whole_unit = function.opens or (function.joins and key not in called)
        writes = function.past or (whole_unit and any(part.writes for part in parts))
        if writes and not any(part.records for part in parts):
            yield key


def made_by_hand(sources: Sources) -> Iterator[str]:
    """Where an audit record or an outbox event is made past `Writes.record`."""
    for place, tree in sources.items():
        for call in ast.walk(tree) if place != "core/unit.py" else ():
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and _model_of(call, {}) in ("AuditRecord", "OutboxEvent")
            ):
                yield f"{place}:{call.lineno}"


def _tables(sources: Sources) -> dict[str, Table]:
    """The tables by their models. A model that is no `Entity` has no public id to record."""
    found = {}
    for place, tree in sources.items():
        room, models, _ = place.partition("/models")
        room = room.partition("/adapters/")[0].rpartition("/")[2]
        for model in tree.body if models else ():
            if not isinstance(model, ast.ClassDef):
                continue
            why: Any = ""
            for line in model.body:
                if isinstance(line, ast.AnnAssign) and _end(line.target) == "UNRECORDED":
                    assert line.value is not None
                    why = ast.literal_eval(line.value)
            columns = frozenset(why) if isinstance(why, dict) else frozenset()
            is_entity = any(_end(base) in ("Entity", "TenantOwned") for base in model.bases)
            recorded = is_entity and (not why or bool(columns))
            found[model.name] = Table(f"{room}_{model.name.lower()}", recorded, columns)
    return found


def _functions(place: str, tree: ast.Module, tables: Tables) -> dict[tuple[str, str], Function]:
    """The functions of a file, a method by its class and name."""
    nodes = {}
    for node in ast.walk(tree):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.FunctionDef):
                prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                nodes[f"{prefix}{inner.name}"] = inner
    returns = {node.name: _end(node.returns) for node in nodes.values()}
    module = Module(place, _texts(tree), _imports(tree), returns)
    return {(place, name): _function(node, module, tables) for name, node in nodes.items()}


def _function(node: ast.FunctionDef, module: Module, tables: Tables) -> Function:
    made = Function(
        joins=any(
            _end(argument.annotation) == "Writes"
            for argument in (*node.args.args, *node.args.kwonlyargs)
        )
    )
    types = {**module.returns, **dict(_types(node, module.returns))}
    recorded = {table.name for table in tables.values() if table.recorded}
    for part in ast.walk(node):
        text = module.texts.get(part.id, "") if isinstance(part, ast.Name) else _text(part)
        made.past |= bool(recorded & {name.lower() for name in _CHANGED.findall(text)})
        if not isinstance(part, ast.Call):
            continue
        name = _end(part.func)
        receiver = _end(part.func.value) if isinstance(part.func, ast.Attribute) else ""
        made.opens |= name == "Writes"
        made.records |= name == "record" and {"action", "event"} <= {
            keyword.arg for keyword in part.keywords
        }
        made.calls.add((module.imports.get(receiver or name, module.place), name))
        if receiver == "writes" and name in ("insert", "update"):
            rows = part.args if name == "insert" else part.args[:1]
            columns = [_text(column) for column in part.args[1:]] if name == "update" else []
            made.writes |= any(
                _needs_record(_model_of(row, types), tables, columns) for row in rows
            )
        elif isinstance(part.func, ast.Attribute) and name in _ORM:
            made.past |= _orm_changes_rows(part, part.func, types, tables)
    return made


def _orm_changes_rows(
    call: ast.Call, method: ast.Attribute, types: Mapping[str, str], tables: Tables
) -> bool:
    """Whether it is a write of the ORM to rows that are recorded (`dict.update(other)` is none)."""
    columns = [keyword.arg or "" for keyword in call.keywords] if method.attr == "update" else []
    if method.attr in ("update", "delete") and (
        call.args or (method.attr == "update") > bool(columns)
    ):
        return False
    model = _model_of(method.value, types)
    if model in tables:
        return _needs_record(model, tables, columns)
    # A dictionary has a name; what has none is a query.
    is_query = method.attr != "update" or isinstance(method.value, ast.Call)
    return _ORM[method.attr] and is_query and not model


def _needs_record(model: str, tables: Tables, columns: list[str]) -> bool:
    """Whether a row is recorded: of a model that cannot be read off the code, it is."""
    table = tables.get(model)
    if table is None or not table.recorded:
        return table is None
    return not columns or not table.unrecorded.issuperset(columns)


def _model_of(node: ast.AST, types: Mapping[str, str]) -> str:
    """The class of a row or query, as far as one function tells it; empty where it does not."""
    match node:
        case ast.Name(id=name):
            return types.get(name, name if name[:1].isupper() else "")
        case ast.Call(func=ast.Name(id="new_row"), args=[ast.Name(id=name), *_]):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
            return types.get(name, "")
        case ast.Call(func=inner) | ast.Attribute(value=inner) | ast.Starred(value=inner):
            return _model_of(inner, types)
    return ""


def _types(node: ast.FunctionDef, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name → class, of arguments and of what is made in the function."""
    for part in ast.walk(node):
        match part:
            case ast.arg(arg=name, annotation=ast.Name(id=kind)):
                yield name, kind
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind)):
                yield name, kind
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _model_of(value, known)


def _imports(tree: ast.Module) -> dict[str, str]:
    """Imported name → the path of its module, or of the package, without an end."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                found[name.asname or name.name] = node.module.replace(".", "/")
    return found


def _texts(tree: ast.Module) -> dict[str, str]:
    """The module's constants that are texts."""
    return {
        _end(line.target if isinstance(line, ast.AnnAssign) else line.targets[0]): _text(line.value)
        for line in tree.body
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
    }


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) for value in values)
        case ast.Call(func=ast.Attribute(value=inner)):
            return _text(inner)
    return ""


def _end(node: ast.AST | None) -> str:
    """The last name of a dotted one."""
    return getattr(node, "attr", getattr(node, "id", ""))


def _product() -> dict[str, ast.Module]:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in product()
    }


SOURCES: Final = _product()
TABLES: Final = _tables(SOURCES)
FUNCTIONS: Final[Functions] = {
    key: function
    for place, tree in SOURCES.items()
    for key, function in _functions(place, tree, TABLES).items()
}
FOUND: Final = frozenset(faults(FUNCTIONS))


def test_a_function_that_writes_a_row_records_the_change() -> None:
    assert sorted(FOUND - EXEMPT.keys()) == []


def test_no_exemption_has_outlived_its_function() -> None:
    assert sorted(EXEMPT.keys() - FOUND) == []


def test_records_are_made_in_one_place() -> None:
    assert list(made_by_hand(SOURCES)) == []


def _planted(place: str, source: str) -> set[tuple[str, str]]:
    others = {key: function for key, function in FUNCTIONS.items() if key[0] != place}
    planted = _functions(place, ast.parse(source), TABLES)
    return set(faults({**others, **planted})) - FOUND


def _without_records(place: str) -> str:
    """The source of a file whose `record` calls do nothing."""
    source = (ROOT / place).read_text(encoding="utf-8")
    assert "writes.record(" in source
    return source.replace("writes.record(", "print(")


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("payments/acceptance/services/release.py", {"_release"}),
        ("payments/providers/services.py", {"account_create", "rule_create", "_save"}),
        ("ledger/services/corrections.py", {"_decide", "correction_propose"}),
    ],
)
def test_a_service_that_loses_its_records_is_found(place: str, names: set[str]) -> None:
    assert {name for _, name in _planted(place, _without_records(place))} == names


def test_what_records_for_others_is_missed_where_they_write() -> None:
    place = "payments/acceptance/services/recording.py"
    found = {name for _, name in _planted(place, _without_records(place))}
    assert {"payment_create", "_Dispute._write", "_cancel_pending", "PaymentHandler.apply"} <= found


@pytest.mark.parametrize(
    "body",
    [
        "writes = Writes(); save_payment(writes, payment, 'status'); writes.flush()",
        "writes = Writes(); writes.update(payment, 'status'); writes.flush()",
        "writes = Writes(); writes.insert(Refund()); writes.flush()",
        "writes = Writes(); writes.sql('UPDATE acceptance_payment SET fee_minor = 0 RETURNING 1')",
        "fetch_all(f'DELETE FROM \"acceptance_refund\" WHERE {where}')",
        "cursor.execute('INSERT INTO acceptance_customer VALUES (%s)')",
        "Payment.objects.filter(id=1).update(status='completed')",
        "Payment.objects.filter(id=1).delete()",
        "Refund.objects.bulk_create(rows)",
        "payment.save(update_fields=['status'])",
        "payment.refunds.filter(id=1).update(status='failed')",
    ],
)
def test_a_planted_fault_is_found(body: str) -> None:
    source = (
        "from payments.acceptance.services.recording import save_payment\n"
        f"def payment_spoil(*, payment: Payment) -> None:\n    {body}\n"
    )
    place = "payments/acceptance/services/new.py"
    assert _planted(place, source) == {(place, "payment_spoil")}


@pytest.mark.parametrize(
    "body",
    [
        "writes.update(payment, 'version', 'card')",
        "writes.insert(PaymentEvent(), new_row(WebhookDelivery))",
        "Payment.objects.filter(id=1).update(next_action_url='')",
        "WebhookDelivery.objects.filter(id=1).delete()",
        "schema.update(minimum=1)",
        "digest.update(b'1')",
        "fetch_all('SELECT 1 FROM acceptance_payment FOR UPDATE')",
    ],
)
def test_what_needs_no_record_passes(body: str) -> None:
    source = f"def payment_touch(*, payment: Payment) -> None:\n    writes = Writes()\n    {body}\n"
    assert _planted("payments/acceptance/services/new.py", source) == set()


@pytest.mark.parametrize("made", ["AuditRecord(action='x')", "new_row(OutboxEvent, type='x')"])
def test_a_record_made_by_hand_is_found(made: str) -> None:
    place = "payments/acceptance/services/new.py"
    assert list(made_by_hand({place: ast.parse(made)})) == [f"{place}:1"]
