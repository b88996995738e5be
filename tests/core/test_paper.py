"""Papers say what they were given, in every script, and are made within their limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core import deadline, paper
from core.paper import PaperBroken, PaperNotMade, paper_pdf
from tests.pdf_reading import (
    claims_pdf_ua,
    is_tagged,
    language_of,
    pages_of,
    right_edge,
    text_of,
    title_of,
)

LINE = ("2026-01-31 12:00:00", "Payment", "pay_1", "posted", "1.00", "1.00")


def statement(**changed: Any) -> dict[str, Any]:
    return {
        "lang": "en",
        "title": "Statement: Pending, USD",
        "issuer": "Merchantry",
        "holder": "Corner Shop",
        "subject": "acc_1",
        "date": [2026, 1, 31],
        "issued": "31 January 2026",
        "live": True,
        "facts": [("Account", "acc_1")],
        "figures": [("Closing balance", "1.00")],
        "columns": ["Booked (UTC)", "What", "State", "Amount", "Balance"],
        "empty": "Nothing was booked in this time.",
        "lines": [LINE],
    } | changed


@pytest.mark.parametrize(
    "written",
    [
        "Ünïcode Łódź Ltd",
        "Кофейня «Утро»",
        "قهوة النيل",
        "چای پاکستان",
        "בית קפה",
        "ร้านกาแฟน้ำ",
        "हिन्दी दुकान",
        "კაფე",
        "咖啡馆 カフェ 커피",
        "₦ € ₹ ₿",
        "Party ☕🎉",
    ],
)
def test_a_name_is_read_as_it_was_written(written: str) -> None:
    made = paper_pdf("statement", statement(holder=written))
    assert written in text_of(made)
    assert claims_pdf_ua(made)


@pytest.mark.parametrize("where", ["holder", "title", "issuer"])
def test_markup_in_the_data_prints_literally(where: str) -> None:
    written = '*b* _i_ #eval("1+1") $x^2$ @ref <l> // c `r` = h \\u{41} "--"'
    made = paper_pdf("statement", statement(**{where: written}))
    assert written in text_of(made).replace("\r\n", "")  # the title takes two lines


def test_markup_in_a_line_prints_literally() -> None:
    written = "#read(1) *b* $x$"
    made = paper_pdf("statement", statement(lines=[(*LINE[:2], written, *LINE[3:])]))
    assert written in text_of(made)


def test_the_document_says_its_title_and_language_and_is_tagged() -> None:
    made = paper_pdf("statement", statement())
    assert title_of(made) == "Statement: Pending, USD"
    assert language_of(made) == "en"
    assert is_tagged(made)
    assert claims_pdf_ua(made)


def test_the_same_data_gives_the_same_bytes() -> None:
    assert paper_pdf("statement", statement()) == paper_pdf("statement", statement())


def test_a_character_that_no_font_has_leaves_a_paper_that_does_not_claim_pdf_ua() -> None:
    made = paper_pdf("statement", statement(holder="Tibetan ཀ shop"))
    assert "Tibetan" in text_of(made)
    assert is_tagged(made)
    assert not claims_pdf_ua(made)


def test_amounts_end_at_one_edge() -> None:
    lines = [(*LINE[:4], amount, "0.00") for amount in ("7.11", "-1,234,567.22")]
    made = paper_pdf("statement", statement(lines=lines))
    assert right_edge(made, "7.11") == pytest.approx(right_edge(made, "-1,234,567.22"), abs=0.1)


def test_two_thousand_lines_are_set_in_time_with_the_header_on_each_page() -> None:
    amounts = [f"{number:,}.{number % 100:02}" for number in range(2000)]
    lines = [(*LINE[:4], amount, "0.00") for amount in amounts]
    pages = pages_of(paper_pdf("statement", statement(lines=lines)))
    assert len(pages) > 40
    assert all(page.count("Booked (UTC)") == 1 for page in pages)
    assert all(f"Page {n} of {len(pages)}" in page for n, page in enumerate(pages, 1))
    assert re.findall(r"posted ([\d,]+\.\d\d) 0\.00", "\n".join(pages)) == amounts


def test_a_long_word_stays_in_its_column() -> None:
    lines = [(*LINE[:2], "W" * 100, "posted", "7.11", "1.00"), LINE]
    made = paper_pdf("statement", statement(lines=lines))
    short = paper_pdf("statement", statement(lines=[(*LINE[:4], "7.11", "1.00")]))
    assert right_edge(made, "7.11") == pytest.approx(right_edge(short, "7.11"), abs=0.1)
    assert text_of(made).replace("\r\n", "").replace("\u200b", "").count("W" * 100) == 1


def test_a_statement_without_lines_says_so() -> None:
    made = paper_pdf("statement", statement(lines=[], figures=[]))
    assert "Nothing was booked in this time." in text_of(made)


@pytest.mark.parametrize(("live", "shown"), [(True, 0), (False, 1)])
def test_test_data_is_marked(live: bool, shown: int) -> None:
    made = paper_pdf("statement", statement(live=live))
    assert text_of(made).count("Test data") == shown


def test_a_paper_ends_with_the_deadline() -> None:
    with deadline.within(0.02), pytest.raises(PaperNotMade):
        paper_pdf("statement", statement())


def test_a_paper_waits_for_its_turn_no_longer_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(paper.AT_ONCE):
        paper._presses.acquire()
    try:
        with deadline.within(0.05), pytest.raises(PaperNotMade):
            paper_pdf("statement", statement())
    finally:
        for _ in range(paper.AT_ONCE):
            paper._presses.release()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('#read("/../../../../etc/passwd")', "would escape the project root"),
        ('#read("/etc/passwd")', "file not found"),
        ('#import "@preview/cetz:0.3.0": *', "failed to download package"),
        ("#data.missing", "unknown variable"),
    ],
)
def test_a_template_reaches_neither_files_nor_the_network(
    source: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.typ").write_text(f'#set document(title: "x")\n{source}\n')
    monkeypatch.setattr(paper, "TEMPLATES", tmp_path)
    with pytest.raises(PaperBroken, match=why):
        paper_pdf("bad", {})


def test_what_takes_too_much_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "MEMORY_LIMIT_BYTES", 300 << 20)
    with pytest.raises(PaperBroken):
        paper_pdf("statement", statement(lines=[LINE] * 4000))


def test_no_template_evaluates_or_imports_what_is_not_beside_it() -> None:
    for template in paper.TEMPLATES.glob("*.typ"):
        assert not re.findall(r"\beval\(|\bplugin\(|@\w+/", template.read_text()), template
