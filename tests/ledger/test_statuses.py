"""The tables of every answer in docs/ledger.md are what ledger/status.py says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.status import AccountStatus, TransferStatus

DOC = Path(__file__).resolve().parent.parent.parent / "docs" / "ledger.md"


def table(statuses: type[TransferStatus] | type[AccountStatus]) -> str:
    """As it must stand in the documentation."""
    if statuses is AccountStatus:
        lines = ["| number | account | in words |", "| ---: | --- | --- |"]
        rows = [f"| {s.value} | `{s.name.lower()}` | {s.words} |" for s in AccountStatus]
        return "\n".join(lines + rows)
    lines = ["| number | transfer | passes | in words |", "| ---: | --- | --- | --- |"]
    for answer in TransferStatus:
        passes = "yes" if answer.transient else ""
        lines.append(f"| {answer.value} | `{answer.name.lower()}` | {passes} | {answer.words} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("statuses", "mark"),
    [(TransferStatus, "transfer statuses"), (AccountStatus, "account statuses")],
)
def test_every_answer_is_documented(
    statuses: type[TransferStatus] | type[AccountStatus], mark: str
) -> None:
    printed = DOC.read_text("utf-8").split(f"<!-- {mark} -->\n")[1].split("\n\n")[0]
    assert printed == table(statuses)
