-- Providers are asked outside any transaction, and so outside any scope of a tenant: no such scope
-- reads an account's secrets or writes to the sandbox's bank.
REVOKE EXECUTE ON FUNCTION providers_account(uuid) FROM app_merchant, app_reseller;
REVOKE EXECUTE ON FUNCTION sandbox_tokenize(uuid, text, integer, text, text, text, text, boolean,
    boolean, text, text, text, integer, integer, text) FROM app_merchant;

-- As in 0003_accounts.sql, but a merchant's scope routes for that merchant, and a reseller's for none.
REVOKE EXECUTE ON FUNCTION providers_candidates(uuid, boolean, text) FROM app_reseller;
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
