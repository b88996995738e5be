"""Addresses of static files that name the version, so that browsers may cache them forever.

`/static/css/pages.css?v=1f0c…` changes with the file, and the entry (deploy/Caddyfile) answers it
as immutable. Nothing is renamed or built, so a module that another imports by its bare address is
asked for again with its ETag.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


class VersionedStaticFiles(StaticFilesStorage):
    """Django's storage, with `?v=` and the beginning of the content's SHA-256 in each address."""

    def url(self, name: str | None) -> str:
        """The address of a file; without a version where the file is not found."""
        address = super().url(name)
        version = _version(name) if name and not name.endswith("/") else ""
        return f"{address}?v={version}" if version else address


@lru_cache(maxsize=1_000)
def _place(name: str) -> str:
    found = finders.find(name)
    return found if isinstance(found, str) else ""


def _version(name: str) -> str:
    place = _place(name)
    if not place:
        return ""
    changed = Path(place).stat()
    return _digest(place, changed.st_mtime_ns, changed.st_size)


@lru_cache(maxsize=1_000)
def _digest(place: str, _changed_ns: int, _size: int) -> str:
    return hashlib.sha256(Path(place).read_bytes()).hexdigest()[:12]
