-- Take a token for its one use.
--
-- Arguments: s: the token.
-- Returns: null where it was taken, else the refusal: token_expired, token_already_used.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_take_token(s providers_sandboxsource) returns jsonb
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if s.expires_at <= now() then
    return sandbox_error('token_expired', 'This token is older than 15 minutes; make a new one.');
  end if;
  update providers_sandboxsource set used_at = now() where id = s.id and used_at is null;
  if not found then
    return sandbox_error('token_already_used',
      'This token was used before. A token is good for one use; make a new one.');
  end if;
  return null;
end $$;
