"""A tenant's scope reads no provider account, and routes for its own tenant alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, functions_of

_GRANTS = """
GRANT EXECUTE ON FUNCTION providers_account(uuid) TO app_merchant, app_reseller;
GRANT EXECUTE ON FUNCTION providers_candidates(uuid, boolean, text) TO app_reseller;
GRANT EXECUTE ON FUNCTION sandbox_tokenize(uuid, text, integer, text, text, text, text, boolean,
    boolean, text, text, text, integer, integer, text) TO app_merchant;
"""


class Migration(migrations.Migration):
    dependencies = [("providers", "0008_sandbox_find"), ("core", "0026_scope_tenant")]

    operations = [
        RunSqlFile(
            __file__,
            "0009_scopes.sql",
            reverse=functions_of(__file__, "0003_accounts.sql", "providers_candidates") + _GRANTS,
        ),
    ]
