"""Lucide icons, read once from static/vendor/lucide and drawn inline in the text's colour."""

import re
from functools import cache
from pathlib import Path

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

ICON_DIR = Path(__file__).resolve().parent.parent / "static" / "vendor" / "lucide"
_SHAPES = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


@cache
def _shapes(name: str) -> SafeString:
    """The drawing inside one vendored file. These files are ours, so their markup is trusted."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"{name!r} is not an icon name")
    path = ICON_DIR / f"{name}.svg"
    if not path.is_file():
        raise LookupError(f"icon {name!r} is not in {ICON_DIR.name}/: vendor it first")
    match = _SHAPES.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise LookupError(f"{path.name} holds no <svg>")
    return mark_safe(re.sub(r"\s+", " ", match.group(1)).strip())  # noqa: S308 - vendored


def icon_svg(name: str, css: str = "", label: str = "") -> SafeString:
    """One icon as inline SVG. It is decoration unless `label` names it.

    Raises LookupError for an icon that is not vendored.
    """
    naming = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>',
        f"icon {css}".strip(),
        naming,
        _shapes(name),
    )
