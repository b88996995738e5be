"""Words to avoid, by the table in docs/house-rules.md: in comments, strings, templates and docs."""

from __future__ import annotations

import functools
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

import pytest

from devtools.home import ROOT

#: Uses that stay, and why.
EXEMPT: Final[dict[tuple[str, str], str]] = {
    ("devtools/account.py", "nobody"): "the system's account",
    ("README.md", "nobody"): "the system's account",
    ("devtools/check.py", "nobody"): "a user in an address that is never reached",
    ("devtools/manage.py", "nobody"): "a user in an address that is never reached",
}
_PLACES: Final = (
    *(f"{room}/**/*.py" for room in (
        "config", "core", "developers", "devtools", "ledger", "notifications", "payments",
        "portal", "tenants",
    )),
    "templates/**/*", "static/js/*.js", "static/css/*.css", "deploy/*", "config/openapi.json",
    "docs/**/*.md", "*.md", "*.py", "requirements*.txt",
)  # fmt: skip
_PROSE: Final = {
    tokenize.COMMENT,
    tokenize.STRING,
    getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),
}
_RULES: Final = "docs/house-rules.md"
_HEAD: Final = "\n| avoid | write |\n"
_ROW: Final = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
#: Between the words of a phrase: a line's end, and what opens a comment or a string.
_GAP: Final = r"""[\s#/*"']+"""


@functools.cache
def table() -> dict[str, str]:
    """Word or phrase → what to write instead."""
    text = (ROOT / _RULES).read_text(encoding="utf-8")
    rows = _ROW.findall(text.partition(_HEAD)[2])
    return {word: instead for words, instead in rows[1:] for word in words.split(", ")}


@functools.cache
def _pattern() -> re.Pattern[str]:
    phrases = (_GAP.join(map(re.escape, word.split())) for word in table())
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE)


def _prose(source: str) -> str:
    """A Python source whose code is blanked: comments and strings keep their places."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    blank = list(re.sub(r"\S", "\0", source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _PROSE:
            begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            blank[begin:end] = source[begin:end]
    return "".join(blank)


def faults(text: str, place: str) -> Iterator[str]:
    """The words in a file that the table replaces."""
    if place == _RULES:
        before, head, rows = text.partition(_HEAD)
        text = before + re.sub(r"\S", "\0", head) + _ROW.sub("", rows)
    # Most files have none, and reading tokens takes longer than looking.
    if place.endswith(".py") and _pattern().search(text):
        text = _prose(text)
    for found in _pattern().finditer(text):
        word = " ".join(re.split(_GAP, found[0].lower()))
        if (place, word) not in EXEMPT:
            line = text.count("\n", 0, found.start()) + 1
            yield f"{place}:{line} {word} → {table()[word]}"


def _files() -> Iterator[tuple[str, str]]:
    for pattern in _PLACES:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT)
            if path.is_file() and "migrations" not in place.parts:
                yield place.as_posix(), path.read_text(encoding="utf-8")


def test_no_word_of_the_table_is_written() -> None:
    found = [fault for place, text in _files() for fault in faults(text, place)]
    assert not found, "\n".join(["Words to avoid:", *found])


def test_no_exemption_has_outlived_its_word() -> None:
    for place, word in EXEMPT:
        text = (ROOT / place).read_text(encoding="utf-8")
        assert re.search(rf"\b{word}\b", text, re.IGNORECASE), (place, word)


@pytest.mark.parametrize(
    ("place", "text", "fault"),
    [
        ("core/new.py", "x = 1\n# Read\n# anew.\n", "core/new.py:3 anew"),
        ("core/new.py", 'x = (\n    "so "\n    "many rows"\n)\n', "core/new.py:2 so many"),
        (
            "core/new.py",
            'def f():\n    """Rows.\n\n    As it stands.\n    """\n',
            "core/new.py:4 stands",
        ),
        ("core/new.py", 'f"{x} Nobody"\n', "core/new.py:1 nobody"),
        ("static/js/new.js", "// kept for\n// good\n", "static/js/new.js:1 for good"),
        ("templates/new.html", "<p>By hand</p>", "templates/new.html:1 by hand"),
        ("docs/new.md", "Told\n", "docs/new.md:1 told"),
    ],
)
def test_a_planted_word_is_found(place: str, text: str, fault: str) -> None:
    word = fault.partition(" ")[2]
    assert list(faults(text, place)) == [f"{fault} → {table()[word]}"]


def test_names_in_code_are_not_read() -> None:
    assert (
        list(faults("told = nobody(so, many)\nunderstood = 'understands'\n", "core/new.py")) == []
    )
