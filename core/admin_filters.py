"""Filters of the admin's lists that ask the database nothing to draw themselves.

Django offers a column without declared choices by a SELECT DISTINCT over its whole table, with
every opening of the list; here the values are named, or typed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter

from core import ids
from core.errors import NotFound

Filter = type[admin.SimpleListFilter]


def one_of(field: str, choices: Sequence[str]) -> Filter:
    """A choice among values that the code knows."""

    class Choice(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value.replace("_", " ").capitalize()) for value in choices]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    return Choice


def typed(field: str, *, read: Callable[[str], Any] = str.strip, title: str = "") -> Filter:
    """A field to type a value into; `read` makes of it what stands in the column.

    What `read` refuses with NotFound or ValueError finds nothing.
    """

    class Typed(TextFilter):
        parameter_name = field

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            if not self.value():
                return queryset
            try:
                return queryset.filter(**{field: read(self.value().strip())})
            except (NotFound, ValueError):
                return queryset.none()

    Typed.title = title or field.replace("_", " ")
    made: Filter = Typed
    return made


#: For every table with an ISO currency in it.
by_currency = typed("currency", read=str.upper)
#: For every row of a merchant.
by_merchant = typed(
    "merchant_id", read=lambda text: ids.decode("mer", text), title="merchant ID (mer_…)"
)


def narrowed_by_ids(
    queryset: QuerySet[Any], text: str, lookups: dict[str, str]
) -> tuple[QuerySet[Any], str]:
    """Take the public ids out of what was typed for a search, and narrow to them.

    Args:
        lookups: which column each prefix is looked up in, `{"pay": "pk", "mer": "merchant_id"}`.

    Returns:
        the narrowed rows, and the words that are no such id.
    """
    rest = []
    for word in text.split():
        prefix = word.partition("_")[0]
        wanted = ids.decode_or_none(prefix, word) if prefix in lookups else None
        if wanted is None:
            rest.append(word)
        else:
            queryset = queryset.filter(**{lookups[prefix]: wanted})
    return queryset, " ".join(rest)
