"""The search of the admin's lists: what people paste is looked up where an index finds it.

Django's own search puts an OR over all of a list's columns, folded to one case (``=column`` is
``iexact``): no index serves that, and with a column of another table in it both tables are read
whole. Here an id's prefix says which column is meant; what is no id goes to ``matching``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from core import ids

#: How long after its id was made a request may still leave rows.
_REQUEST_LASTS: Final = timedelta(hours=1)


class FoundById(ModelAdmin):
    """Searches by public ids, several of them narrowing one another; each is an index probe.

        id_columns = {"pay": "pk", "mer": "merchant_id", "acc": ("debit_id", "credit_id")}

    An id with a prefix that is not named finds nothing, and neither does other text, unless the
    class says in ``matching`` or ``search_fields`` where to look for it.
    """

    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    #: Prefix of an id → the column that holds it, or the columns, each with an index.
    id_columns: ClassVar[Mapping[str, str | tuple[str, ...]]] = {}
    #: Where an id without a prefix is looked up; empty where such a text may be a reference.
    uuid_columns: ClassVar[tuple[str, ...]] = ("pk",)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row of a page; Django takes an empty ``_to_field`` in the address for a field."""
        return super().get_object(request, object_id, from_field or None)

    def get_search_fields(self, request: HttpRequest) -> Any:
        """unfold draws the box where there is a field; what may be typed, the help text says."""
        return super().get_search_fields(request) or (("pk",) if self.search_help_text else ())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows that all words fit."""
        words = []
        for word in search_term.split():
            wanted = self._id_in(word)
            if wanted is None:
                words.append(word)
            else:
                queryset = queryset.filter(wanted)
        if words:
            queryset = self.matching(request, queryset, " ".join(words))
        return queryset, False

    def matching(self, request: HttpRequest, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """The rows for a text that is no id: of short tables, those with it in `search_fields`."""
        if not self.search_fields:
            return queryset.none()
        found: QuerySet[Any] = super().get_search_results(request, queryset, text)[0]
        return found

    def _id_in(self, word: str) -> Q | None:
        prefix = word.partition("_")[0]
        columns = self.id_columns.get(prefix, () if "_" in word else self.uuid_columns)
        value = ids.pasted(prefix, word)
        if value is None or not columns:
            return None
        names = (columns,) if isinstance(columns, str) else columns
        wanted = Q()
        for name in names:
            wanted |= Q(**{name: value})
        return wanted


def of_request(text: str) -> Q:
    """The rows of a request: `req_…`, or what the caller named it.

    Both ids are time-ordered, so what a request of ours left is found in the hour after its id was
    made; an index that only this search uses would cost every call a write.
    """
    wanted = Q(request_id=text)
    made = ids.decode_or_none("req", text)
    if made is None:
        return wanted
    first, last = ids.ids_after(made, _REQUEST_LASTS)
    return wanted & Q(id__gte=first, id__lt=last)
