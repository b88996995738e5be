"""The tools are tested without the platform: no database is made for them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.home import Home
from devtools.postgres import forget_elsewhere


@pytest.fixture(scope="session", autouse=True)
def database() -> str:
    """Takes the place of the suite's database, which these tests do not need."""
    return ""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A state folder that every account can enter (PostgreSQL gives up root)."""
    temporary = Path(tempfile.gettempdir()).resolve()
    folder = tmp_path.resolve()
    while folder not in (temporary, folder.parent):
        folder.chmod(0o755)
        folder = folder.parent
    home = Home(tmp_path / "state")
    home.make()
    yield home
    forget_elsewhere(home)
