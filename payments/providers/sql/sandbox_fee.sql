-- The sandbox's fee: 1.5 %, half a minor unit rounded up.
--
-- Arguments: p_captured: in minor units.
-- Returns: the fee in minor units.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_fee(p_captured bigint) returns bigint
language sql immutable set search_path = pg_catalog, public, pg_temp as $$
  select div(p_captured::numeric * 150 + 5000, 10000)::bigint;
$$;
