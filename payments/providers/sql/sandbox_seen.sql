-- Note an idempotency key of an operation, unless it has been seen on this account.
--
-- Arguments: p_account; p_key; p_hash: the request's; p_kind: 'capture', 'cancel' or 'refund';
--   p_charge.
-- Returns: null where it is new and noted now, 'same' or 'other' where it came before with this
--   request or another one.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_seen(p_account uuid, p_key text, p_hash text, p_kind text, p_charge uuid)
returns text
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare v_hash text;
begin
  insert into providers_sandboxoperation (id, created_at, account_id, idempotency_key,
      request_hash, kind, charge_id)
    values (gen_random_uuid(), now(), p_account, p_key, p_hash, p_kind, p_charge)
    on conflict (account_id, idempotency_key) do nothing;
  if found then return null; end if;
  select request_hash into v_hash from providers_sandboxoperation
    where account_id = p_account and idempotency_key = p_key;
  return case when v_hash = p_hash then 'same' else 'other' end;
end $$;
