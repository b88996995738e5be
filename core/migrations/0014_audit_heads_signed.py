"""Sign the heads that are there: what they end stays without a key, what follows has one.

Where there are any, the migration needs FIELD_KEYS. Nobody signs an unsigned head afterwards.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


def sign_heads(apps: Any, schema_editor: Any) -> None:
    """Sign every head that has no signature, with the records up to it as the unkeyed ones."""
    from core.audit_seal import Head, head_signature, newest_key_version

    # Under FORCE even the owner sees no row.
    schema_editor.execute("ALTER TABLE core_auditchain NO FORCE ROW LEVEL SECURITY")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id, sequence, hash FROM core_auditchain WHERE signature IS NULL"
        )
        for chain, sequence, digest in cursor.fetchall():
            head = Head(chain, sequence, bytes(digest), keyed_from=sequence + 1)
            version = newest_key_version()
            cursor.execute(
                "UPDATE core_auditchain SET keyed_from = %s, key_version = %s, signature = %s"
                " WHERE tenant_id = %s",
                [head.keyed_from, version, head_signature(head, key_version=version), chain],
            )
    schema_editor.execute("ALTER TABLE core_auditchain FORCE ROW LEVEL SECURITY")


class Migration(migrations.Migration):
    dependencies = [("core", "0013_audit_keys_guard")]

    operations = [migrations.RunPython(sign_heads, migrations.RunPython.noop)]
