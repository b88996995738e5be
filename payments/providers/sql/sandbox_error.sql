-- A refusal as the sandbox answers it: an answer of a server, not a fault of the database.
--
-- Arguments: p_code, p_message.
-- Returns: {"error": {code, message}}.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_error(p_code text, p_message text) returns jsonb
language sql immutable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('error', jsonb_build_object('code', p_code, 'message', p_message));
$$;
