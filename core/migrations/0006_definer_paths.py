"""Functions with the rights of their owner look into the caller's temporary tables last."""

from __future__ import annotations

from django.db import migrations

_FUNCTIONS = (
    "core_datakey_newest(uuid, text)",
    "core_datakey_wrapped(uuid, text, integer)",
    "core_datakey_add(uuid, text, integer, text)",
)


def _set_path(path: str) -> str:
    return "\n".join(f"ALTER FUNCTION {name} SET search_path = {path};" for name in _FUNCTIONS)


class Migration(migrations.Migration):
    # A path that does not name pg_temp searches it first, before the tables of ours.
    dependencies = [("core", "0005_must_touch")]

    operations = [
        migrations.RunSQL(
            _set_path("pg_catalog, public, pg_temp"), _set_path("pg_catalog, public")
        ),
    ]
