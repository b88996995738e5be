-- Note a webhook that the sandbox sends when it is due.
--
-- Arguments: p_account: whose webhook it is; p_type, e.g. 'payment.captured'; p_payload: its data;
--   p_due.
-- Returns: nothing.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_emit(p_account uuid, p_type text, p_payload jsonb, p_due timestamptz)
returns void language sql set search_path = pg_catalog, public, pg_temp as $$
  insert into providers_sandboxevent (id, created_at, account_id, type, payload, due_at, attempts)
  values (gen_random_uuid(), now(), p_account, p_type, p_payload, p_due, 0);
$$;
