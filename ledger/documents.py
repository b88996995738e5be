"""How the documents behind transfers are named: `pay_…`, `ref_…`.

A transfer holds the bare id of its document, and the ledger may not import payments. The room that
owns documents says at its start under which transfer codes they are booked, which is all that an
API needs to name them, and how they are looked up, for pages that lead to them. Ids of documents
that no room has named are shown as UUIDs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.errors import InvalidRequest
from core.ids import decode_or_none, encode
from ledger.chart import TransferCode


@dataclass(frozen=True, slots=True)
class DocumentName:
    """A document as people know it; `url_name` and `url_arg` lead to the page that shows it."""

    public_id: str
    url_name: str
    url_arg: str
    reference: str = ""


Lookup = Callable[[Collection[UUID]], Mapping[UUID, DocumentName]]
_prefixes: Final[dict[int, str]] = {}
_lookups: Final[dict[str, Lookup]] = {}


def register_document_prefix(prefix: str, codes: Iterable[TransferCode]) -> None:
    """Say that transfers with these codes belong to documents with this id prefix (`pay`)."""
    _prefixes.update(dict.fromkeys(map(int, codes), prefix))


def document_name(code: int, document_id: UUID | None) -> str | None:
    """A transfer's document as the API shows it; None where the transfer has none."""
    if document_id is None:
        return None
    prefix = _prefixes.get(code)
    return encode(prefix, document_id) if prefix else str(document_id)


def document_of(text: str) -> UUID:
    """The bare id of a document from its public id or its UUID.

    Raises:
        InvalidRequest: it is neither.
    """
    for prefix in set(_prefixes.values()):
        found = decode_or_none(prefix, text)
        if found is not None:
            return found
    try:
        return UUID(text)
    except ValueError as error:
        known = ", ".join(f"{prefix}_…" for prefix in sorted(set(_prefixes.values())))
        raise InvalidRequest(
            f"document must be the id of a document ({known}) or its UUID.",
            code="parameter_invalid",
            param="document",
        ) from error


def register_documents(kind: str, lookup: Lookup) -> None:
    """Name documents of one kind; `lookup` runs in the reader's scope, and leaves out others."""
    _lookups[kind] = lookup


def documents_named(document_ids: set[UUID]) -> dict[UUID, DocumentName]:
    """The names of those documents that the scope sees and a lookup knows."""
    found: dict[UUID, DocumentName] = {}
    for lookup in _lookups.values():
        if left := document_ids - found.keys():
            found.update(lookup(left))
    return found
