"""Addresses of static files change with the files, and with nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.conf import settings
from django.templatetags.static import static

from core import static_versions


def test_an_address_names_what_the_file_holds() -> None:
    content = (Path(settings.BASE_DIR) / "static" / "css" / "pages.css").read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    assert static("css/pages.css") == f"/static/css/pages.css?v={version}"


def test_another_content_is_another_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "page.css"
    monkeypatch.setattr(static_versions, "_place", lambda name: str(file))
    file.write_text("a {}")
    first = static("page.css")
    file.write_text("a { color: red }")
    assert static("page.css") != first


def test_a_file_that_is_not_there_has_no_version() -> None:
    assert static("css/none.css") == "/static/css/none.css"
