"""What every provider's folder looks like: its files, its name in the registry, its own SDK."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import pytest

from devtools.home import ROOT
from tests.house.test_rooms import ROOMS

_ADAPTERS: Final = ROOT / "payments" / "providers" / "adapters"
_REGISTRY: Final = ROOT / "payments" / "providers" / "registry.py"
#: Packages that several providers may use. Any other is a provider's SDK.
_SHARED: Final = frozenset({"cryptography", "django", "httpx", "orjson", "requests", "structlog"})
_TOPS: Final = sorted({room.partition(".")[0] for room in ROOMS} | {"config"})


def _folders() -> set[str]:
    return {path.name for path in _ADAPTERS.iterdir() if any(path.glob("*.py"))}


def _registered(source: str) -> list[str]:
    """The names in `PROVIDERS`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PROVIDERS":
            assert node.value is not None
            return list(ast.literal_eval(node.value))
    return []


def imported(source: str) -> set[str]:
    """The packages that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def sdk_faults(importing: Iterable[tuple[str, set[str]]]) -> list[str]:
    """Where an SDK is imported outside its provider. `importing`: a file, what it imports."""
    prefix = _ADAPTERS.relative_to(ROOT).as_posix() + "/"
    users: dict[str, dict[str, str]] = {}
    for file, packages in importing:
        owner = file.removeprefix(prefix).partition("/")[0] if file.startswith(prefix) else ""
        for package in packages - _SHARED - sys.stdlib_module_names - set(_TOPS):
            users.setdefault(package, {})[file] = owner
    return [
        f"{file} imports {package}: ask its provider's adapter"
        for package, files in sorted(users.items())
        for file, owner in sorted(files.items())
        if (owners := set(files.values()) - {""}) and (owner == "" or len(owners) > 1)
    ]


def _importing() -> Iterator[tuple[str, set[str]]]:
    for top in _TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), imported(path.read_text(encoding="utf-8"))


def test_every_folder_is_registered() -> None:
    names = _registered(_REGISTRY.read_text(encoding="utf-8"))
    assert sorted(names) == sorted(_folders()), "registry.PROVIDERS and adapters/ differ"


@pytest.mark.parametrize("name", sorted(_folders()))
def test_a_provider_has_its_files(name: str) -> None:
    folder = _ADAPTERS / name
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert {"adapter.py", "spec.py"} <= {path.name for path in folder.glob("*.py")}
    contract = ROOT / "tests" / "providers" / f"test_{name}_contract.py"
    assert contract.exists(), f"{name} is held to the contract in {contract.name}"
    assert "(AdapterContract)" in contract.read_text(encoding="utf-8")


def test_an_sdk_is_imported_by_its_adapter_alone() -> None:
    importing = dict(_importing())
    assert "stripe" in importing["payments/providers/adapters/stripe/calling.py"]
    assert sdk_faults(importing.items()) == []


@pytest.mark.parametrize(
    "file", ["payments/acceptance/api.py", "payments/providers/adapters/sandbox/adapter.py"]
)
def test_an_sdk_elsewhere_is_found(file: str) -> None:
    importing = [
        ("payments/providers/adapters/stripe/calling.py", imported("import stripe, django.conf")),
        (file, imported("def late():\n    from stripe.error import Broken")),
    ]
    assert any(fault.startswith(f"{file} imports stripe") for fault in sdk_faults(importing))
