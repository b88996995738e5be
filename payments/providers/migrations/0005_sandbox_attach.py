"""A saved card of the sandbox is found again by its own merchant alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.db import migrations

from core.rls import RunSqlFile


def _as_before() -> str:
    """The function as 0003_sandbox.sql made it."""
    text = (Path(__file__).parent / "0003_sandbox.sql").read_text(encoding="utf-8")
    begin = text.index("create function sandbox_attach(")
    end = text.index("create function sandbox_create_payment(")
    return text[begin:end].replace("create function", "create or replace function")


# The function belongs to app_definer, and only its owner may put another one in its place.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0004_account_key_tenant")]

    operations = [
        _AS_DEFINER,
        RunSqlFile(__file__, "0005_sandbox_attach.sql", reverse=_as_before()),
        _AS_OWNER,
    ]
