-- The way back: the function and the grants as they were before this migration.
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
    order by r.merchant_id is null, r.priority, r.created_at, r.id;
$$;

GRANT EXECUTE ON FUNCTION providers_account(uuid) TO app_merchant, app_reseller;
GRANT EXECUTE ON FUNCTION providers_candidates(uuid, boolean, text) TO app_reseller;
GRANT EXECUTE ON FUNCTION sandbox_tokenize(uuid, text, integer, text, text, text, text, boolean,
    boolean, text, text, text, integer, integer, text) TO app_merchant;
