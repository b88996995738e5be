"""Cursor pages over time-ordered ids: newest first, stable while rows are added."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

from core.errors import InvalidRequest

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
T = TypeVar("T")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted: `limit` rows older than the row that `cursor` names."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> PageRequest:
        """Read `limit` and `cursor` from a query string.

        Raises:
            InvalidRequest: a limit that is not a number from 1 to 100.
        """
        raw = query.get("limit") or str(DEFAULT_LIMIT)
        if not (raw.isascii() and raw.isdigit() and len(raw) < 4 and 1 <= int(raw) <= MAX_LIMIT):
            raise InvalidRequest(
                f"limit must be a number from 1 to {MAX_LIMIT}.",
                code="parameter_invalid",
                param="limit",
            )
        return cls(limit=int(raw), cursor=query.get("cursor") or None)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page: its rows, and the cursor of the next one where there is more."""

    items: list[T]
    next_cursor: str | None

    @property
    def has_more(self) -> bool:
        return self.next_cursor is not None

    def render(self, item: Callable[[T], Any]) -> dict[str, Any]:
        """The list as the API answers it."""
        return {
            "items": [item(row) for row in self.items],
            "has_more": self.has_more,
            "next_cursor": self.next_cursor,
        }


def paginate(rows: QuerySet[M], page: PageRequest) -> Page[M]:
    """Cut one page out of `rows`, newest first by id (ids are time-ordered).

    Raises:
        InvalidRequest: a cursor that we did not make.
    """
    ordered = rows.order_by("-pk")
    if page.cursor:
        ordered = ordered.filter(pk__lt=_decode(page.cursor))
    found = list(ordered[: page.limit + 1])
    items = found[: page.limit]
    more = len(found) > page.limit
    return Page(items=items, next_cursor=_encode(items[-1].pk) if more else None)


def _encode(key: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(key.bytes).decode().rstrip("=")


def _decode(cursor: str) -> uuid.UUID:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return uuid.UUID(bytes=raw)
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest(
            "That cursor is not one of ours. Take next_cursor from the page before.",
            code="cursor_invalid",
            param="cursor",
        ) from error
