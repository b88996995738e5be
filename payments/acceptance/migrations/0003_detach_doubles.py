"""Leave one method of each card of a provider attached: the first, as other rows were its doubles.

Payments keep naming the method that they were made with.
"""

from __future__ import annotations

from django.db import migrations

# Under forced row-level security even the owner of a table sees no row; for one statement it does.
_DETACH = """
ALTER TABLE acceptance_paymentmethod NO FORCE ROW LEVEL SECURITY;
UPDATE acceptance_paymentmethod later SET detached_at = now()
  WHERE later.detached_at IS NULL AND EXISTS (
    SELECT FROM acceptance_paymentmethod earlier
      WHERE earlier.provider_account_id = later.provider_account_id
        AND earlier.provider_method = later.provider_method
        AND earlier.detached_at IS NULL AND earlier.id < later.id);
ALTER TABLE acceptance_paymentmethod FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("acceptance", "0002_protect")]

    operations = [migrations.RunSQL(_DETACH, migrations.RunSQL.noop)]
