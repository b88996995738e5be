-- Whether a token or saved card could be charged now. It takes nothing: the charge alone does.
--
-- Arguments: p_source; p_merchant: whose it is.
-- Returns: {} where it could, else a refusal.
-- Errors: none; a refusal is an answer, {"error": {code, message}}: resource_missing,
--   token_expired, token_already_used.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_check_source(p_source uuid, p_merchant text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
declare s providers_sandboxsource;
begin
  select * into s from providers_sandboxsource where id = p_source and merchant_key = p_merchant;
  if not found then
    return sandbox_error('resource_missing', 
      'No such token or saved card for this merchant. Make a token with POST /v1/tokens.');
  elsif s.reusable then
    return '{}';
  elsif s.expires_at <= now() then
    return sandbox_error('token_expired', 'This token is older than 15 minutes; make a new one.');
  elsif s.used_at is not null then
    return sandbox_error('token_already_used',
      'This token was used before. A token is good for one use; make a new one.');
  end if;
  return '{}';
end $$;
