"""What a PDF reader finds in a document."""

from __future__ import annotations

import pypdfium2
from pypdfium2 import raw


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, as a reader copies it."""
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)]


def text_of(pdf: bytes) -> str:
    return "\n".join(pages_of(pdf))


def right_edge(pdf: bytes, text: str) -> float:
    """Where the first occurrence of `text` on the first page ends, in points from the left."""
    page = pypdfium2.PdfDocument(pdf)[0].get_textpage()
    found = page.search(text).get_next()
    assert found is not None, text
    start, count = found
    return float(page.get_charbox(start + count - 1, loose=True)[2])


def title_of(pdf: bytes) -> str:
    return str(pypdfium2.PdfDocument(pdf).get_metadata_dict()["Title"])


def language_of(pdf: bytes) -> str:
    found = (raw.FPDF_WCHAR * 50)()
    size = raw.FPDFCatalog_GetLanguage(pypdfium2.PdfDocument(pdf), found, 100)
    return "".join(map(chr, found[: size // 2 - 1]))


def is_tagged(pdf: bytes) -> bool:
    return bool(raw.FPDFCatalog_IsTagged(pypdfium2.PdfDocument(pdf)))


def claims_pdf_ua(pdf: bytes) -> bool:
    return b"<pdfuaid:part>1</pdfuaid:part>" in pdf
