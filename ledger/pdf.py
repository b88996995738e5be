"""A plain table as PDF, page by page: the memory it takes does not grow with the rows.

Libraries for PDF hold the whole document until it is done. What a statement needs of PDF 1.4 is a
fixed-width font and text lines; only the place of each page is remembered for the table at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

LINES_A_PAGE: Final = 62
_FONT_PT, _LEADING_PT, _LEFT_PT, _TOP_PT = 8, 12, 40, 800
_CATALOG, _PAGES, _FONT, _FIRST_PAGE = 1, 2, 3, 4


def pdf_pages(lines: Iterable[str], *, heading: str, columns: str) -> Iterator[bytes]:
    """The document in pieces. `heading` and `columns` stand on every page, above the lines.

    Characters outside Latin-1 are shown as `?`; a line holds about 107 characters on A4.
    """
    offsets: dict[int, int] = {}
    written = 0

    def numbered(number: int, body: bytes) -> bytes:
        nonlocal written
        offsets[number] = written
        piece = b"%d 0 obj\n%s\nendobj\n" % (number, body)
        written += len(piece)
        return piece

    begin = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    written += len(begin)
    yield begin
    yield numbered(_FONT, b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>")
    source = iter(lines)
    pages: list[int] = []
    while (chunk := list(islice(source, LINES_A_PAGE))) or not pages:
        page = _FIRST_PAGE + 2 * len(pages)
        pages.append(page)
        text = _text([heading, f"Page {len(pages)}", columns, *chunk])
        stream = b"<</Length %d>>\nstream\n%s\nendstream" % (len(text), text)
        yield numbered(page + 1, stream)
        yield numbered(
            page,
            b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F %d 0 R>>>>>>" % (_PAGES, page + 1, _FONT),
        )
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    yield numbered(_PAGES, b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)))
    yield numbered(_CATALOG, b"<</Type/Catalog/Pages %d 0 R>>" % _PAGES)
    count = _FIRST_PAGE + 2 * len(pages)
    table = b"".join(b"%010d 00000 n \n" % offsets[number] for number in range(1, count))
    yield b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    yield b"trailer\n<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        count,
        _CATALOG,
        written,
    )


def _text(lines: list[str]) -> bytes:
    shown = [line.encode("latin-1", "replace") for line in lines]
    escaped = [s.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") for s in shown]
    body = b"".join(b"(%s) Tj T*\n" % line for line in escaped)
    start = b"%d TL %d %d Td" % (_LEADING_PT, _LEFT_PT, _TOP_PT)
    return b"BT /F %d Tf %s\n%sET" % (_FONT_PT, start, body)
