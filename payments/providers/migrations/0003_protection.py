"""Row-level security, and the functions that are the only way around it."""

from django.db import migrations

from core.rls import ProtectTable, RunSqlFile

BANK = {
    "merchant_column": None,
    "reseller_column": None,
    "staff": "SELECT",
    "worker": "",
    "definer": "SELECT, INSERT, UPDATE",
}

DROP_SANDBOX = """
do $$
declare f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname like 'sandbox\\_%'
  loop
    execute format('drop function %s cascade', f);
  end loop;
end $$;
"""

DROP_ACCOUNTS = """
drop function providers_candidates(uuid, boolean, text);
drop function providers_account(uuid);
"""


class Migration(migrations.Migration):
    # The roles that are granted to are made before any migration runs.
    dependencies = [("providers", "0002_sandbox_account")]

    operations = [
        ProtectTable(
            "providers_provideraccount",
            merchant="",
            reseller="",
            staff="SELECT, INSERT, UPDATE",
            definer="SELECT",
        ),
        ProtectTable(
            "providers_routingrule",
            merchant="",
            reseller="",
            staff="SELECT, INSERT, UPDATE, DELETE",
            definer="SELECT",
        ),
        ProtectTable(
            "providers_providerhealth",
            merchant_column=None,
            reseller_column=None,
            definer="SELECT",
        ),
        ProtectTable("providers_sandboxsource", **BANK),
        ProtectTable("providers_sandboxcharge", **BANK),
        ProtectTable("providers_sandboxoperation", **BANK),
        ProtectTable("providers_sandboxrefund", **BANK),
        ProtectTable("providers_sandboxevent", **BANK),
        RunSqlFile(__file__, "0003_sandbox.sql", reverse=DROP_SANDBOX),
        RunSqlFile(__file__, "0003_accounts.sql", reverse=DROP_ACCOUNTS),
    ]
