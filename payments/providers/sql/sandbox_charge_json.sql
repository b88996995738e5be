-- A charge as the sandbox shows it.
--
-- Arguments: c.
-- Returns: the charge as JSON, amounts in minor units.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_charge_json(c providers_sandboxcharge) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'id', 'sbpay_' || replace(c.id::text, '-', ''),
    'reference', c.reference, 'state', c.state, 'amount', c.amount_minor,
    'captured', c.captured_minor, 'refunded', c.refunded_minor, 'fee', c.fee_minor,
    'currency', c.currency, 'card', c.card, 'decline_code', c.decline_code,
    'decline_message', c.decline_message, 'challenge', c.challenge_id, 'created', c.created_at);
$$;
