"""The sandbox's cardholder disputes no more than was not refunded."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.db import migrations

from core.rls import RunSqlFile


def _as_before() -> str:
    """The functions as 0003_sandbox.sql made them."""
    text = (Path(__file__).parent / "0003_sandbox.sql").read_text(encoding="utf-8")
    made = ""
    for begin, end in (
        ("create function sandbox_refund(", "create function sandbox_get_refund("),
        ("create function sandbox_lines(", "-- Settle what is due"),
    ):
        made += text[text.index(begin) : text.index(end)]
    return (
        made.replace("create function", "create or replace function")
        + "drop function sandbox_reduce_dispute(providers_sandboxcharge);"
        + "drop function sandbox_disputed_minor(providers_sandboxcharge);"
    )


# The functions belong to app_definer, and only their owner may put others in their place.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0005_sandbox_attach")]

    operations = [
        _AS_DEFINER,
        RunSqlFile(__file__, "0006_sandbox_dispute.sql", reverse=_as_before()),
        _AS_OWNER,
    ]
