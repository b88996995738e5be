"""CSV files: a byte-order mark, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest

from core.cells import Sheet, harmless


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+49 170 1234567", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1",
        "\u00a0=1+1", "\ufeff=1+1", "\u200b=1+1", '"=1+1"', "＝1+1", "＋1", "－1-1", "＠SUM(A1)",
        "x;=1+1", "x,=1+1", "x\t=1+1", "x|=1+1", "x\n=1+1", 'x; "=1+1', "-1.5-", "--1",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    made = harmless(text)
    assert made != text
    assert made.replace("'", "") == text.replace("'", "")
    for part in made.replace("\t", ";").replace(",", ";").replace("|", ";").splitlines():
        for cell in part.split(";"):
            assert not cell.strip(' "\u00a0\ufeff\u200b').startswith(tuple("=+-@＝＋－＠")), made


@pytest.mark.parametrize(
    "text", ["", "48.90", "-1.42", "0", "a=b", "order-7", "Ada & Söhne", "1-2", "x; y", "a+b@c.de"]
)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_a_sheet_is_read_back_as_it_was_meant() -> None:
    sheet = Sheet(("name", "amount", "note"))
    file = (
        sheet.first_line + sheet.line(["Nord; GmbH", -142, None]) + sheet.line(["=A1", "", 'a"b'])
    )
    assert file.encode().startswith(b"\xef\xbb\xbfname,amount,note\r\n")
    rows = list(csv.DictReader(io.StringIO(file.removeprefix("\ufeff"))))
    assert [list(row.values()) for row in rows] == [
        ["Nord; GmbH", "-142", ""],
        ["'=A1", "", 'a"b'],
    ]
