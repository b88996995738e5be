-- A refund as the sandbox shows it.
--
-- Arguments: r.
-- Returns: the refund as JSON, amounts in minor units.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_refund_json(r providers_sandboxrefund) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'id', 'sbre_' || replace(r.id::text, '-', ''),
    'payment', 'sbpay_' || replace(r.charge_id::text, '-', ''),
    'reference', r.reference, 'state', 'succeeded', 'amount', r.amount_minor,
    'currency', r.currency, 'reason', r.reason, 'created', r.created_at);
$$;
