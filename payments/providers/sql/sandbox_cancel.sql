-- Cancel an authorised or open charge.
--
-- Arguments: p_account; p_charge: its id, or null; p_reference: asked where p_charge is null;
--   p_key: idempotency key; p_hash: the request's.
-- Returns: the charge as JSON; one that is canceled already too.
-- Errors: none; a refusal is an answer, {"error": {code, message}}: resource_missing,
--   idempotency_key_reused, payment_unexpected_state.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_cancel(
  p_account uuid, p_charge uuid, p_reference text, p_key text, p_hash text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge := sandbox_find(p_account, p_charge, p_reference);
begin
  if c.id is null then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select * into c from providers_sandboxcharge where id = c.id for update;
  if sandbox_seen(p_account, p_key, p_hash, 'cancel', c.id) = 'other' then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  end if;
  if c.state = 'canceled' then return sandbox_charge_json(c); end if;
  if c.state not in ('authorized', 'requires_action') then
    return sandbox_error('payment_unexpected_state',
      'Only an authorised or open payment can be canceled; this one is ' || c.state || '.');
  end if;
  update providers_sandboxcharge set state = 'canceled' where id = c.id returning * into c;
  return sandbox_charge_json(c);
end $$;
