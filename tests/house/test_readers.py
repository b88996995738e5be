"""What is built is used: columns, services, settings and permissions have a reader.

A reader is found by its name, so one that has its name in common with something else passes; what
has none is certain to be read by no one.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Final

from django.conf import global_settings

from devtools.home import ROOT
from tests.house.test_shapes import SOURCES

#: Columns that no code of ours reads, and why they are there.
_COLUMNS: Final[dict[str, str]] = {
    "tenants/models/credentials.py: ApiKey.created_by": "the staff's page shows it",
}
#: Services that nothing calls, and why they are there.
_SERVICES: Final[dict[str, str]] = {}
#: Settings that only a library reads (beside those of Django and Celery).
_SETTINGS: Final[dict[str, str]] = {
    "ANONYMOUS_USER_NAME": "django-guardian",
    "ASGI_APPLICATION": "channels",
    "CHANNEL_LAYERS": "channels",
    "CONTENT_SECURITY_POLICY": "django-csp",
    "GUARDIAN_RAISE_403": "django-guardian",
    "OTP_TOTP_ISSUER": "django-otp",
    "REST_FRAMEWORK": "Django REST framework",
    "ROOT_URLCONF": "Django",
    "SPECTACULAR_SETTINGS": "drf-spectacular",
    "WHITENOISE_AUTOREFRESH": "WhiteNoise",
}
#: Permissions that nothing asks for, and why they are there.
_PERMISSIONS: Final[dict[str, str]] = {}

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED: Final = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


def _sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours but tests, migrations and the developers' tools."""
    for place, tree in SOURCES.items():
        if "/migrations/" not in place:
            yield place, tree
    for file in sorted((ROOT / "config").rglob("*.py")):
        yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text())


def _inert(tree: ast.Module) -> set[ast.AST]:
    """Docstrings, and the lists of names that a module exports."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(node.value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            found.update(ast.walk(node.value))
    return found


def names_read(tree: ast.Module) -> Iterator[str]:
    """Names and attributes that are read, and what texts name (queries, lists of columns)."""
    inert = _inert(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.keyword) and node.arg and "__" in node.arg:
            yield from node.arg.split("__")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inert:
            yield from _WORD.findall(node.value.replace("__", " "))


def conditions(tree: ast.Module) -> Iterator[str]:
    """Columns that rows are looked for by: `filter(state=…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in {"filter", "exclude", "get", "Q"}:
            yield from (word.arg for word in node.keywords if word.arg)


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


@cache
def _texts() -> Counter[str]:
    """Words of the templates and of the SQL files."""
    found: Counter[str] = Counter()
    for folder in ROOT.iterdir():
        if not folder.name.startswith(".") and folder.name not in ("tests", "docs"):
            for pattern in ("**/*.html", "**/*.txt", "**/sql/*.sql"):
                for place in folder.glob(pattern):
                    found.update(_WORD.findall(place.read_text()))
    return found


def test_every_column_has_a_reader() -> None:
    read = set(_texts())
    for place, tree in _sources():
        if not re.search(r"/models(\.py|/)", place):
            read.update(names_read(tree))
            read.update(conditions(tree))
        else:
            read.update(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    columns = {
        f"{place}: {column}": column
        for place, tree in _sources()
        if re.search(r"/models(\.py|/)", place)
        for column in columns_of(tree)
    }
    assert len(columns) > 100
    unread = {each for each, name in columns.items() if not {name.partition(".")[2]} & read}
    assert unread == set(_COLUMNS)


def columns_of(tree: ast.Module) -> Iterator[str]:
    """The columns that a module's models declare, as `Model.column`."""
    for model in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for line in model.body:
            if (
                isinstance(line, ast.Assign)
                and isinstance(line.value, ast.Call)
                and _called(line.value).endswith(("Field", "ForeignKey"))
            ):
                name = ast.unparse(line.targets[0])
                yield f"{model.name}.{name}"


def services_of(tree: ast.Module) -> set[str]:
    """The functions that a module offers to others."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def test_every_service_has_a_caller() -> None:
    read: set[str] = set()
    offered: dict[str, str] = {}
    for place, tree in _sources():
        read.update(names_read(tree))
        if re.search(r"/services(\.py|/)", place):
            offered |= {f"{place}: {name}": name for name in services_of(tree)}
    assert len(offered) > 50
    assert {each for each, name in offered.items() if name not in read} == set(_SERVICES)


def _assigned(tree: ast.Module) -> set[str]:
    return {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and name.id.isupper()
    }


def test_every_setting_has_a_reader() -> None:
    ours: set[str] = set()
    read: set[str] = set()
    for place, tree in _sources():
        read.update(names_read(tree))
        if place.startswith("config/settings/"):
            ours |= _assigned(tree)
    libraries = ("CELERY_", "_")
    ours = {name for name in ours if not name.startswith(libraries)} - set(dir(global_settings))
    assert len(ours) > 10
    assert ours - read == set(_SETTINGS)


def permissions_of(tree: ast.Module) -> set[str]:
    """The keys of the table of permissions."""
    [table] = [
        line.value
        for line in tree.body
        if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == "PERMISSIONS"
    ]
    assert isinstance(table, ast.Dict)
    return {str(key.value) for key in table.keys if isinstance(key, ast.Constant)}


def test_every_permission_is_asked_for() -> None:
    asked: set[str] = set()
    permissions: set[str] = set()
    for place, tree in _sources():
        inert = _inert(tree)
        if place == "tenants/policies.py":
            permissions = permissions_of(tree)
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inert:
                asked.update(_DOTTED.findall(node.value))
            elif isinstance(node, ast.Name | ast.Attribute):
                asked.update({"platform.staff"} if "STAFF_PERMISSION" in ast.unparse(node) else ())
    assert len(permissions) > 20
    assert permissions - asked == set(_PERMISSIONS)


def test_the_search_tells_readers_from_writers() -> None:
    text = '''
"""Speaks of a_docstring."""
__all__ = ["exported"]
row.written = row.attribute
row = Row(given=1)
Row.objects.filter(looked_for=1, other__gte=2)
fetch_all("SELECT in_sql FROM rows")
def _inner(): ...
def offered(): ...
'''
    tree = ast.parse(text)
    read = set(names_read(tree)) | set(conditions(tree))
    assert {"attribute", "looked_for", "other", "in_sql"} <= read
    assert not {"a_docstring", "exported", "written", "given", "offered"} & read
    assert services_of(tree) == {"offered"}
