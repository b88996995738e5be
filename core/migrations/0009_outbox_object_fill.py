"""Name the object of the events that are there already: their payload is its public JSON."""

from __future__ import annotations

from django.db import migrations

# Under FORCE even the owner sees no row.
_UP = """
ALTER TABLE core_outboxevent NO FORCE ROW LEVEL SECURITY;
UPDATE core_outboxevent SET object_id = left(coalesce(payload ->> 'id', aggregate), 64)
 WHERE object_id = '';
ALTER TABLE core_outboxevent FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0008_outbox_object")]

    operations = [migrations.RunSQL(_UP, migrations.RunSQL.noop)]
