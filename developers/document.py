"""The committed OpenAPI document: what `/v1/openapi.json` serves and the API reference draws.

It is read from `docs/openapi.json`, not generated while serving: a request must not pay for walking
every serializer, and `./dev check` fails when the file and the code differ.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings


@functools.lru_cache(maxsize=1)
def document_bytes() -> bytes:
    """The document as compact JSON."""
    return orjson.dumps(document())


@functools.lru_cache(maxsize=1)
def document_etag() -> str:
    """A strong validator: the same until the document changes."""
    return f'"{hashlib.sha256(document_bytes()).hexdigest()[:32]}"'


@functools.lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document as Python objects; not to be changed."""
    path = Path(settings.BASE_DIR) / "docs" / "openapi.json"
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


@functools.lru_cache(maxsize=1)
def resources() -> dict[str, str]:
    """The collections of the API: name → address, as its root lists them."""
    listed = {}
    for path, operations in document()["paths"].items():
        name = path.removeprefix("/v1/")
        if name and "{" not in name and "get" in operations:
            listed[name.replace("/", "_")] = path
    return dict(sorted(listed.items()))
