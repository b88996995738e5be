"""A pytest plugin: xdist's workers begin with a clean environment.

The controller's conftest names its settings and its database in the environment, which the workers
inherit. With DJANGO_SETTINGS_MODULE there, pytest-django would load the settings in a worker before
the worker's own conftest has said which database is its own.
"""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Called in the controller before it starts the workers."""
    for name in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL"):
        os.environ.pop(name, None)
