"""The tools are tested without the platform: no database is made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.home import Home


@pytest.fixture(scope="session", autouse=True)
def database() -> str:
    """Takes the place of the suite's database, which these tests do not need."""
    return ""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder that every account can enter (PostgreSQL gives up root)."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith("pytest-"):
            folder.chmod(0o755)
    home = Home(tmp_path / "state")
    home.make()
    return home
