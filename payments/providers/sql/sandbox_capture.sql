-- Capture an authorised charge, in full or in part, once.
--
-- Arguments: p_account; p_charge; p_key: idempotency key; p_hash: the request's; p_amount: in minor
--   units; p_currency.
-- Returns: the charge as JSON.
-- Errors: none; a refusal is an answer, {"error": {code, message}}: resource_missing,
--   idempotency_key_reused, charge_already_captured, payment_unexpected_state, currency_mismatch,
--   amount_too_large.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_capture(
  p_account uuid, p_charge uuid, p_key text, p_hash text, p_amount bigint, p_currency text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge; v_seen text;
begin
  select * into c from providers_sandboxcharge
    where id = p_charge and account_id = p_account for update;
  if not found then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select case when request_hash = p_hash then 'same' else 'other' end into v_seen
    from providers_sandboxoperation where account_id = p_account and idempotency_key = p_key;
  if v_seen = 'same' then return sandbox_charge_json(c); end if;
  if v_seen = 'other' then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  end if;
  if c.state = 'captured' then
    return sandbox_error('charge_already_captured', 'This payment has already been captured.');
  elsif c.state <> 'authorized' then
    return sandbox_error('payment_unexpected_state',
      'Only an authorised payment can be captured; this one is ' || c.state || '.');
  elsif p_currency <> c.currency then
    return sandbox_error('currency_mismatch', 'The payment was authorised in ' || c.currency || '.');
  elsif p_amount <= 0 or p_amount > c.amount_minor then
    return sandbox_error('amount_too_large',
      'Capture between 1 and the ' || c.amount_minor || ' minor units that are authorised.');
  end if;
  perform sandbox_seen(p_account, p_key, p_hash, 'capture', c.id);
  update providers_sandboxcharge set state = 'captured', captured_minor = p_amount,
      fee_minor = sandbox_fee(p_amount), captured_at = now()
    where id = c.id returning * into c;
  perform sandbox_schedule_dispute(c);
  return sandbox_charge_json(c);
end $$;
