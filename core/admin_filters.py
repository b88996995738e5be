"""Filters of the admin's lists that ask the database nothing to draw themselves.

Django offers a column without declared choices by a SELECT DISTINCT over its whole table, with
every opening of the list; here the values are named, or typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter

from core import ids
from core.errors import AppError

Filter = type[admin.SimpleListFilter]


Choices = Sequence[str] | Mapping[int, str] | Callable[[], Sequence[str]]


def one_of(field: str, choices: Choices) -> Filter:
    """A choice among values that the code knows: words, numbers with their titles, or a function
    that names them when the list opens.
    """

    class Choice(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            known = choices() if callable(choices) else choices
            if isinstance(known, Mapping):
                return [(str(value), title) for value, title in known.items()]
            return [(value, value.replace("_", " ").capitalize()) for value in known]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = self.value()
            if not chosen:
                return queryset
            if chosen not in dict(self.lookup_choices):
                return queryset.none()
            return queryset.filter(**{field: chosen})

    return Choice


def typed(field: str, *, read: Callable[[str], Any] = str.strip, title: str = "") -> Filter:
    """A field to type a value into; `read` converts it to what the column stores.

    What `read` refuses with an error of ours or ValueError finds nothing.
    """

    class Typed(TextFilter):
        parameter_name = field

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            if not self.value():
                return queryset
            try:
                return queryset.filter(**{field: read(self.value().strip())})
            except (AppError, ValueError):
                return queryset.none()

    Typed.title = title or field.replace("_", " ")
    made: Filter = Typed
    return made


#: For every table with an ISO currency in it.
by_currency = typed("currency", read=str.upper)
#: For every row with an ISO country in it.
by_country = typed("country", read=str.upper)
#: For every row of a merchant.
by_merchant = typed(
    "merchant_id", read=lambda text: ids.decode("mer", text), title="merchant ID (mer_…)"
)
