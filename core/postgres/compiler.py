"""SQL of the ORM's writes: every value passes the guard of its column.

Whatever way a row is written (save, create, bulk_create, bulk_update, QuerySet.update, a form of
the admin, a library), its values come through here.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import compiler
from django.db.models import Field

from core.card_columns import checked

__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]

SQLAggregateCompiler = compiler.SQLAggregateCompiler
SQLCompiler = compiler.SQLCompiler
SQLDeleteCompiler = compiler.SQLDeleteCompiler


class SQLInsertCompiler(compiler.SQLInsertCompiler):
    def prepare_value(self, field: Field[Any, Any], value: Any) -> Any:
        return super().prepare_value(field, checked(field, value))


class SQLUpdateCompiler(compiler.SQLUpdateCompiler):
    # The stubs know neither the query's values nor that this takes nothing for an UPDATE.
    def pre_sql_setup(self, with_col_aliases: bool = False) -> Any:
        query: Any = self.query
        query.values = [
            (field, model, checked(field, value)) for field, model, value in query.values
        ]
        return super().pre_sql_setup()
