"""What every room looks like: its files and their order, and where rows are locked."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from devtools.home import ROOT

#: The names that mean the same in every room (docs/house-rules.md), in the order in which a
#: higher line imports a lower one.
STANDARD: Final = (
    ("apps", "urls", "management", "templatetags"),
    ("api", "portal", "pages", "admin", "tasks", "consumers"),
    ("serializers",),
    ("services",),
    ("lock_objects",),
    ("selectors", "events", "representations", "shapes"),
    ("models",),
    ("states",),
)
_PLACE: Final = {name: place for place, names in enumerate(STANDARD) for name in names}
#: What needs no line in a room's list: the standard names, and what frameworks look for.
_UNLISTED: Final = {*_PLACE, "migrations", "sql", "static"}
#: Rooms whose modules come in layers; the kernel and the wiring have an order of their own.
APPS: Final = (
    "tenants",
    "ledger",
    "notifications",
    "payments.acceptance",
    "payments.checkout",
    "payments.intents",
    "payments.providers",
    "developers",
    "portal",
)
ROOMS: Final = ("core", *APPS)
_LISTED: Final = re.compile(r"^- `(\w+)`: \S.*$", re.MULTILINE)

_LOCK: Final = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b", re.IGNORECASE)
#: The kernel's queues lock what they lease in the statement that leases it.
_KERNEL_LOCKS: Final = {"core/crypto.py", "core/inbox.py", "core/relay.py"}


def _folder(room: str) -> Path:
    return ROOT / room.replace(".", "/")


def _modules(folder: Path) -> set[str]:
    """The names of the modules and packages of a folder."""
    return {
        path.stem
        for path in folder.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }


def listing_faults(docstring: str, modules: set[str]) -> list[str]:
    """What a room's docstring leaves out, or lists although it is not there."""
    listed = _LISTED.findall(docstring)
    wanted = modules - _UNLISTED
    return [
        *(f"{name} is not listed" for name in sorted(wanted - set(listed))),
        *(f"{name} is listed and not there" for name in sorted(set(listed) - wanted)),
        *(f"{name} is listed twice" for name in sorted({n for n in listed if listed.count(n) > 1})),
    ]


def _docstring(folder: Path) -> str:
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def _contracts() -> dict[str, dict[str, Any]]:
    """The layers inside each room, by the room's name."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        contract["containers"][0]: contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract.get("exhaustive")
    }


def _layers(contract: dict[str, Any]) -> Iterator[list[str]]:
    for layer in contract["layers"]:
        yield re.findall(r"\w+", layer)


def layer_faults(layers: list[list[str]]) -> list[str]:
    """Standard names that come in another order than everywhere."""
    found, below = [], 0
    for names in layers:
        places = [_PLACE[name] for name in names if name in _PLACE]
        if any(place < below for place in places):
            found.append(" : ".join(names))
        below = max([below, *places])
    return found


def test_every_app_is_a_room_of_this_test() -> None:
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("core", *{app.partition(".")[0] for app in APPS})
        for path in (ROOT / top).rglob("apps.py")
    }
    assert found == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_what_it_has_beside_the_standard_files(room: str) -> None:
    folder = _folder(room)
    assert listing_faults(_docstring(folder), _modules(folder)) == []


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("A room.", "fees is not listed"),
        ("A room.\n\n- `fees`: what is charged\n- `gone`: no more", "gone is listed and not there"),
        ("A room.\n\n- `fees`: one\n- `fees`: two", "fees is listed twice"),
        ("A room.\n\n- `fees`:", "fees is not listed"),
    ],
)
def test_a_wrong_list_is_found(docstring: str, fault: str) -> None:
    assert listing_faults(docstring, {"fees", "models", "services"}) == [fault]


def test_every_module_of_every_room_is_in_a_layer() -> None:
    """import-linter fails for a module in no layer of an exhaustive contract."""
    assert set(_contracts()) == set(APPS)
    ignored = {
        name for found in _contracts().values() for name in found.get("exhaustive_ignores", [])
    }
    assert ignored == {"migrations"}


@pytest.mark.parametrize("room", APPS)
def test_standard_files_come_in_one_order(room: str) -> None:
    assert layer_faults(list(_layers(_contracts()[room]))) == []


def test_another_order_is_found() -> None:
    assert layer_faults([["api"], ["selectors"], ["fees", "services"], ["models"]]) == [
        "fees : services"
    ]


def locks(source: str) -> list[int]:
    """The lines that lock rows: by the ORM, or in a statement (a docstring is none)."""
    if "select_for_update" not in source and not _LOCK.search(source):
        return []
    tree = ast.parse(source)
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "select_for_update")
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in prose
            and _LOCK.search(node.value)
        )
    ]


def test_rows_are_locked_in_lock_objects_alone() -> None:
    tops = {room.partition(".")[0] for room in ROOMS} | {"config"}
    locking = {
        path.relative_to(ROOT).as_posix()
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if "migrations" not in path.parts and locks(path.read_text(encoding="utf-8"))
    }
    assert {place for place in locking if not place.endswith("/lock_objects.py")} == _KERNEL_LOCKS


@pytest.mark.parametrize(
    "source",
    [
        "rows = Payment.objects.select_for_update(no_key=True)",
        "fetch_all('SELECT id FROM a WHERE due FOR UPDATE SKIP LOCKED')",
        "fetch_all(f'SELECT id FROM {table} for no key update')",
        "fetch_all('''SELECT id FROM a\n   FOR SHARE OF a''')",
    ],
)
def test_a_stray_lock_is_found(source: str) -> None:
    assert len(locks(source)) == 1


def test_what_speaks_of_a_lock_is_none() -> None:
    assert (
        locks('"""Claims (`FOR UPDATE SKIP LOCKED`)."""\nx = "ready for updates"\n# FOR UPDATE')
        == []
    )


_ORM_WRITES: Final = {
    "create", "bulk_create", "get_or_create", "update_or_create", "update", "bulk_update", "delete",
}  # fmt: skip
_SQL_WRITE: Final = re.compile(
    r"\b(INSERT INTO|DELETE FROM|UPDATE\s+\"?\w+\"?\s+(AS\s+\w+\s+)?SET)\b"
)
#: Who else writes, and why. The kernel (core) writes its own tables.
_WRITERS: Final = {
    "ledger/backends/tigerbeetle.py": "what the cluster was asked, until it has answered",
    "ledger/lock_objects.py": "the row that is locked, if it is not there yet",
    "notifications/lock_objects.py": "a lease is a lock",
    "payments/intents/lock_objects.py": "a lease is a lock",
    "tenants/lock_objects.py": "a lease is a lock",
    "payments/acceptance/api/floor.py": "the floor of a benchmark: one insert and nothing else",
    "payments/intents/api.py": "the audit record of a service's request, in the saga's own unit",
    "tenants/sessions_backend.py": "Django's sessions",
}


def _writes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "Writes"
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr == "record":
        return ast.unparse(function.value) == "writes"
    if function.attr in _ORM_WRITES:
        return bool(re.search(r"\.(objects|model)\b", ast.unparse(function.value)))
    return function.attr == "save"


def writes(source: str) -> list[int]:
    """The lines that write rows: by the unit of work, the ORM, or a statement."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Call) and _writes(node))
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _SQL_WRITE.search(node.value)
        )
    ]


def _is_service(path: Path) -> bool:
    return path.name == "services.py" or "services" in path.parts


def test_rows_are_written_in_services_alone() -> None:
    tops = {app.partition(".")[0] for app in APPS} | {"config"}
    writing = {
        path.relative_to(ROOT).as_posix()
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if "migrations" not in path.parts
        and not _is_service(path)
        and writes(path.read_text(encoding="utf-8"))
    }
    assert writing == set(_WRITERS)


@pytest.mark.parametrize(
    "source",
    [
        "writes = Writes()",
        "Payment.objects.filter(id=1).exclude(a=2).update(status='x')",
        "Payment.objects.create(id=1)",
        "row.save()",
        "fetch_all('UPDATE a_b AS x SET y = 1')",
        "fetch_all('INSERT INTO a_b (y) VALUES (1)')",
    ],
)
def test_a_stray_write_is_found(source: str) -> None:
    assert len(writes(source)) == 1


_ASKED: Final = re.compile(
    r"\bpolicies\.can\(|\b(?:not )?in \w*\.?actor\.scopes\b|\ballowed\(request"
)


def asked(source: str) -> list[str]:
    """Questions for a permission, as a face asks them."""
    return _ASKED.findall(source)


def test_faces_alone_ask_for_a_permission() -> None:
    """Services and selectors are called by faces that have asked, and by tasks that need not."""
    asking = {
        path.relative_to(ROOT).as_posix()
        for room in APPS
        for path in _folder(room).rglob("*.py")
        if (
            _is_service(path)
            or path.stem in {"selectors", "lock_objects"}
            or "selectors" in path.parts
        )
        and asked(path.read_text(encoding="utf-8"))
    }
    assert asking == set()


@pytest.mark.parametrize(
    "source",
    [
        'if not policies.can(actor, "payments.refund"): raise',
        'if "payments.refund" not in actor.scopes: raise',
        'if "payments.refund" in request.actor.scopes: pass',
    ],
)
def test_a_service_that_asks_is_found(source: str) -> None:
    assert len(asked(source)) == 1


#: Faces may pass the person who is signing in, that row is the request's own; and a row that they
#: show, to ask what may be done with it.
_MAY_TAKE_ROWS: Final = {
    "enrolment_confirm", "invitation_accept", "login_recorded", "logout_recorded", "may_confirm",
    "password_set",
    "second_factor_check", "user_actor",
}  # fmt: skip
_FACES: Final = {"api", "portal", "pages", "admin", "tasks", "consumers"}


def _parsed(room: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(_folder(room).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def takes_rows(tree: ast.Module, tables: set[str]) -> set[str]:
    """The public functions of a services module that take a row of one of these tables."""
    return {
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_")
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if argument.annotation is not None
        and "Callable" not in (said := ast.unparse(argument.annotation))
        and tables & set(re.findall(r"\b\w+\b(?!\.)", said))
    }


def calls(tree: ast.Module) -> set[str]:
    """The names of the functions that a module calls."""
    return {
        call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
    }


def test_faces_pass_ids_to_services() -> None:
    parsed = [found for room in APPS for found in _parsed(room)]
    tables = {
        node.name
        for path, tree in parsed
        if "models" in path.with_suffix("").parts
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any("State" not in ast.unparse(b) for b in node.bases)
    }
    taking = {
        name for path, tree in parsed if _is_service(path) for name in takes_rows(tree, tables)
    }
    called = {
        name
        for path, tree in parsed
        if _FACES & set(path.with_suffix("").parts)
        for name in calls(tree) & taking
    }
    assert {"Payment", "User", "Merchant", "WebhookEndpoint"} <= tables
    assert "intent_apply" in taking
    assert called == _MAY_TAKE_ROWS


def test_a_service_that_takes_a_row_is_found() -> None:
    source = (
        "def refund(*, payment: Payment) -> None: ...\n"
        "def cancel(*, payment_id: UUID, seen: list[Payment] | None = None) -> None: ...\n"
        "def capture(*, payment_id: UUID) -> Payment: ...\n"
        "def _settle(payment: Payment) -> None: ...\n"
    )
    assert takes_rows(ast.parse(source), {"Payment"}) == {"refund", "cancel"}
