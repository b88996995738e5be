-- Store a card as a token that is good for one use. The number stays outside: only what the test
-- card stands for is stored.
--
-- Arguments: p_id; p_merchant: whose token it is; p_ttl_s: seconds that it is good for; p_behaviour
--   to p_at_once: what the card does; p_brand to p_fingerprint: what it shows.
-- Returns: when the token expires.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_tokenize(
  p_id uuid, p_merchant text, p_ttl_s integer, p_behaviour text, p_outcome text,
  p_decline_code text, p_decline_message text, p_disputed boolean, p_at_once boolean,
  p_brand text, p_funding text, p_last4 text, p_exp_month integer, p_exp_year integer,
  p_fingerprint text
) returns timestamptz
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into providers_sandboxsource (id, created_at, merchant_key, reusable, expires_at,
      behaviour, outcome, decline_code, decline_message, disputed, available_at_once, brand,
      funding, last4, exp_month, exp_year, fingerprint)
    values (p_id, now(), p_merchant, false, now() + make_interval(secs => p_ttl_s),
      p_behaviour, p_outcome, p_decline_code, p_decline_message, p_disputed, p_at_once, p_brand,
      p_funding, p_last4, p_exp_month, p_exp_year, p_fingerprint)
    returning expires_at;
$$;
