"""What a transfer was booked for, by name: the rooms above register how their documents are found.

The ledger knows a document by its id alone and may not import payments; whoever owns documents
tells it how they are called and where they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class DocumentName:
    """A document as people know it; `url_name` and `url_arg` lead to the page that shows it."""

    public_id: str
    url_name: str
    url_arg: str
    reference: str = ""


Lookup = Callable[[Collection[UUID]], Mapping[UUID, DocumentName]]
_lookups: Final[dict[str, Lookup]] = {}


def register_documents(kind: str, lookup: Lookup) -> None:
    """Name documents of one kind; `lookup` runs in the reader's scope, and leaves out others."""
    _lookups[kind] = lookup


def documents_named(document_ids: set[UUID]) -> dict[UUID, DocumentName]:
    """The names of those documents that the scope sees and somebody knows."""
    found: dict[UUID, DocumentName] = {}
    for lookup in _lookups.values():
        if left := document_ids - found.keys():
            found.update(lookup(left))
    return found
