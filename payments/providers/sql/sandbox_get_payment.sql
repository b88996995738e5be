-- Look a charge up, and bring it to its end where the network's time has come.
--
-- Arguments: p_account; p_charge: its id, or null; p_reference: asked where p_charge is null.
-- Returns: the charge as JSON, or null.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_get_payment(p_account uuid, p_charge uuid, p_reference text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge := sandbox_find(p_account, p_charge, p_reference);
begin
  if c.id is null then return null; end if;
  if c.state = 'processing' and c.settle_at <= now() then
    select * into c from providers_sandboxcharge where id = c.id for update;
    if c.state = 'processing' then c := sandbox_finish(c, '', ''); end if;
  end if;
  return sandbox_charge_json(c);
end $$;
