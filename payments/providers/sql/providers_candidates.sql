-- The provider accounts that may take an operation, best first. The tables stay closed to callers;
-- a merchant's scope routes for that merchant, and a reseller's for none.
--
-- Arguments: p_merchant; p_livemode; p_operation, e.g. 'payment'.
-- Returns: a row for each enabled rule: the merchant's own before the platform's, then by priority.
--   Amounts are in minor units; healthy is false after three failures in a row. None for another
--   merchant than the scope's.
-- Errors: none.
-- Callers: app_merchant, app_staff, app_worker, merchantry_app. Runs as app_definer.
create or replace function providers_candidates(p_merchant uuid, p_livemode boolean, p_operation text)
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
      and coalesce((select core_scope_tenant()), p_merchant) = p_merchant
    order by r.merchant_id is null, r.priority, r.created_at, r.id;
$$;
