-- Look a refund up, by its id or by our reference: the newest of a reference.
--
-- Arguments: p_account; p_refund: its id, or null; p_reference: asked where p_refund is null.
-- Returns: the refund as JSON, or null.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_get_refund(p_account uuid, p_refund uuid, p_reference text)
returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select sandbox_refund_json(r) from providers_sandboxrefund r
    where r.account_id = p_account
      and (r.id = p_refund or (p_refund is null and r.reference = p_reference))
    order by r.created_at desc limit 1;
$$;
