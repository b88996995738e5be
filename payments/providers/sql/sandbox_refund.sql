-- Refund a captured charge, in full or in part. What was refunded before the cardholder disputes is
-- not disputed too.
--
-- Arguments: p_account; p_id: of the refund; p_charge; p_key: idempotency key; p_hash: the
--   request's; p_reference: ours; p_amount: in minor units; p_currency; p_reason.
-- Returns: the refund as JSON.
-- Errors: none; a refusal is an answer, {"error": {code, message}}: resource_missing,
--   idempotency_key_reused, payment_unexpected_state, currency_mismatch, charge_already_refunded,
--   amount_too_large.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_refund(
  p_account uuid, p_id uuid, p_charge uuid, p_key text, p_hash text, p_reference text,
  p_amount bigint, p_currency text, p_reason text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge; r providers_sandboxrefund; v_hash text;
begin
  select * into c from providers_sandboxcharge
    where id = p_charge and account_id = p_account for update;
  if not found then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select request_hash into v_hash from providers_sandboxoperation
    where account_id = p_account and idempotency_key = p_key;
  if v_hash <> p_hash then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  elsif v_hash = p_hash then
    select * into r from providers_sandboxrefund
      where account_id = p_account and idempotency_key = p_key;
    return sandbox_refund_json(r);
  end if;
  if c.state <> 'captured' then
    return sandbox_error('payment_unexpected_state',
      'Only a captured payment can be refunded; this one is ' || c.state || '.');
  elsif p_currency <> c.currency then
    return sandbox_error('currency_mismatch', 'The payment was captured in ' || c.currency || '.');
  elsif c.refunded_minor = c.captured_minor then
    return sandbox_error('charge_already_refunded', 'This payment has been refunded in full.');
  elsif p_amount <= 0 or p_amount > c.captured_minor - c.refunded_minor then
    return sandbox_error('amount_too_large', 'Refund between 1 and the '
      || (c.captured_minor - c.refunded_minor) || ' minor units that are left.');
  end if;
  perform sandbox_seen(p_account, p_key, p_hash, 'refund', c.id);
  insert into providers_sandboxrefund (id, created_at, account_id, charge_id, idempotency_key,
      reference, amount_minor, currency, reason)
    values (p_id, now(), p_account, c.id, p_key, p_reference, p_amount, p_currency, p_reason)
    returning * into r;
  update providers_sandboxcharge set refunded_minor = refunded_minor + p_amount
    where id = c.id returning * into c;
  perform sandbox_reduce_dispute(c);
  return sandbox_refund_json(r);
end $$;
