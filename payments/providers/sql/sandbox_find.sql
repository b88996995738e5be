-- A charge by its id or by our reference, each with its own index: the newest charge of a
-- reference, but one that holds money before one that does not.
--
-- Arguments: p_account; p_charge: its id, or null; p_reference: asked where p_charge is null.
-- Returns: the charge; all null where there is none.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_find(p_account uuid, p_charge uuid, p_reference text)
returns providers_sandboxcharge
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select * from providers_sandboxcharge c
    where c.account_id = p_account
      and (c.id = p_charge or (p_charge is null and c.reference = p_reference))
    order by (c.state in ('captured', 'authorized')) desc, c.created_at desc limit 1;
$$;
