-- One provider account. Credentials and secrets come out encrypted; the key never reaches the
-- database.
--
-- Arguments: p_id.
-- Returns: one row; none for an unknown account. timeout_s is in seconds.
-- Errors: none.
-- Callers: app_staff, app_worker, merchantry_app. Runs as app_definer. No tenant's scope: providers
--   are asked outside any transaction.
create or replace function providers_account(p_id uuid)
returns table (
  id uuid, provider text, label text, livemode boolean, merchant_id uuid, api_base text,
  timeout_s smallint, credentials text, webhook_secrets text, enabled boolean
)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.provider, a.label, a.livemode, a.merchant_id, a.api_base, a.timeout_s,
         a.credentials, a.webhook_secrets, a.enabled
    from providers_provideraccount a where a.id = p_id;
$$;
