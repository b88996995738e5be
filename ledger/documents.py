"""How the documents behind transfers are named: `pay_…`, `ref_…`.

A transfer holds the bare id of its document, whatever room that is of. The room says at its start
under which transfer codes its documents are booked; ids of documents that no room has named are
shown as UUIDs.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from core.errors import InvalidRequest
from core.ids import decode_or_none, encode
from ledger.chart import TransferCode

_prefixes: dict[int, str] = {}


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
