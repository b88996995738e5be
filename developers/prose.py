"""The few marks of Markdown that docstrings use, and JSON with its parts marked up, as HTML."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_CODE: Final = re.compile(r"`([^`]+)`")
_BOLD: Final = re.compile(r"\*\*([^*]+)\*\*")
_JSON_PART: Final = re.compile(
    r"(?P<string>&quot;(?:\\.|(?!&quot;).)*?&quot;)(?P<colon>\s*:)?"
    r"|(?P<word>\b(?:true|false|null)\b)|(?P<number>(?<![\w&#])-?\d+(?:\.\d+)?\b)"
)


def inline(text: str) -> SafeString:
    """One line: `code` and **bold**; everything else is escaped."""
    html = _CODE.sub(r"<code>\1</code>", escape(text))
    return mark_safe(_BOLD.sub(r"<strong>\1</strong>", html))  # noqa: S308 - escaped above


def paragraphs(text: str) -> SafeString:
    """Paragraphs, parted by empty lines."""
    parts = (part.replace("\n", " ") for part in text.split("\n\n") if part.strip())
    return mark_safe("".join(f"<p>{inline(part)}</p>" for part in parts))  # noqa: S308 - escaped


def json_html(value: Any) -> SafeString:
    """Indented JSON whose keys, strings, numbers and words carry classes."""
    text = str(escape(json.dumps(value, indent=2, ensure_ascii=False)))
    return mark_safe(_JSON_PART.sub(_coloured, text))  # noqa: S308 - escaped above


def _coloured(match: re.Match[str]) -> str:
    if match["string"]:
        kind = "key" if match["colon"] else "str"
        return f'<span class="j-{kind}">{match["string"]}</span>{match["colon"] or ""}'
    kind = "word" if match["word"] else "num"
    return f'<span class="j-{kind}">{match[0]}</span>'
