-- Routing is read by whoever creates a payment, in whatever scope; the tables stay closed to them.

create function providers_candidates(p_merchant uuid, p_livemode boolean, p_operation text)
returns table (
  account_id uuid, provider text, label text, currencies text[], min_amount_minor bigint,
  max_amount_minor bigint, healthy boolean
)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.provider, a.label, r.currencies::text[], r.min_amount_minor, r.max_amount_minor,
         coalesce(h.failures_in_a_row, 0) < 3
    from providers_routingrule r
    join providers_provideraccount a on a.id = r.account_id
    left join providers_providerhealth h on h.account_id = a.id
    where r.enabled and a.enabled and a.livemode = p_livemode and r.operation = p_operation
      and (r.merchant_id is null or r.merchant_id = p_merchant)
      and (a.merchant_id is null or a.merchant_id = p_merchant)
    order by r.merchant_id is null, r.priority, r.created_at, r.id;
$$;

-- Credentials and secrets come out encrypted; the key never reaches the database.
create function providers_account(p_id uuid)
returns table (
  id uuid, provider text, label text, livemode boolean, merchant_id uuid, api_base text,
  timeout_s smallint, credentials text, webhook_secrets text, enabled boolean
)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.provider, a.label, a.livemode, a.merchant_id, a.api_base, a.timeout_s,
         a.credentials, a.webhook_secrets, a.enabled
    from providers_provideraccount a where a.id = p_id;
$$;

revoke all on function providers_candidates(uuid, boolean, text) from public;
revoke all on function providers_account(uuid) from public;
alter function providers_candidates(uuid, boolean, text) owner to app_definer;
alter function providers_account(uuid) owner to app_definer;
grant execute on function providers_candidates(uuid, boolean, text)
  to merchantry_app, app_merchant, app_reseller, app_staff, app_worker;
grant execute on function providers_account(uuid)
  to merchantry_app, app_merchant, app_reseller, app_staff, app_worker;
