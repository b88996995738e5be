"""What holds for every template: nothing inline, nothing from elsewhere, nothing unused."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path
    for path in (ROOT / "templates").rglob("*.html")
    # The admin has a Content-Security-Policy of its own.
    if not {"admin", "unfold"} & set(path.relative_to(ROOT / "templates").parts)
)
LUCIDE = ROOT / "static" / "vendor" / "lucide"
STYLES = sorted((ROOT / "static" / "css").glob("*.css"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_has_no_inline_script_or_style(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<[a-z][^<>{}]*\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)
    assert "javascript:" not in text
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag, f"inline script in {path.name}: {tag}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_loads_nothing_from_another_host(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"(?:src|action)\s*=\s*[\"'](?:https?:)?//", text)
    assert not re.search(r"<link\b[^>]*href\s*=\s*[\"'](?:https?:)?//", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_compiles_and_hides_its_comments(path: Path) -> None:
    get_template(str(path.relative_to(ROOT / "templates")))
    # {# … #} ends with the line: one that does not is shown to the visitor.
    assert all("#}" in line for line in path.read_text().splitlines() if "{#" in line)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_form_of_the_portal_says_for_which_account_and_mode_it_was_made(path: Path) -> None:
    for form in re.findall(r"<form\b.*?</form>", path.read_text(), flags=re.S):
        opening = form.split(">", 1)[0]
        seated = re.search(r"portal:|frame\.(?:mode|tenant)_url|{{ action }}", opening)
        if 'method="post"' in opening and seated and "theme" not in path.name:
            assert "{% seat_field %}" in form, opening


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_a_stylesheet_takes_its_colours_from_the_tokens(path: Path) -> None:
    if path.name in {"tokens.css", "sandbox.css"}:
        return
    text = re.sub(
        r"light-dark\([^;]*\)", "", re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    )
    allowed = {"#6fd79c", "#ff9088", "#f2f4f8", "#c2c9d6", "#ffffff"}  # on a toast, always dark
    assert set(re.findall(r"#[0-9a-f]{6}\b", text)) <= allowed


def test_every_vendored_icon_is_used_and_unchanged() -> None:
    text = "".join(path.read_text() for path in TEMPLATES)
    for folder in ("portal", "payments", "notifications", "tenants", "developers"):
        text += "".join(path.read_text() for path in (ROOT / folder).rglob("*.py"))
    listed = dict(
        re.findall(
            r"\| ([a-z0-9-]+)\.svg \| `([0-9a-f]{64})` \|", (LUCIDE / "README.md").read_text()
        )
    )
    for path in LUCIDE.glob("*.svg"):
        assert f'"{path.stem}"' in text, f"{path.name} is not used"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.stem]


def test_the_vendored_font_is_unchanged() -> None:
    folder = ROOT / "static" / "vendor" / "inter"
    font = folder / "inter-latin-wght-normal.woff2"
    assert hashlib.sha256(font.read_bytes()).hexdigest() in (folder / "README.md").read_text()
    assert (folder / "LICENSE").is_file()
