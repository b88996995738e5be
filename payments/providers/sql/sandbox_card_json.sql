-- A card as the sandbox shows it: brand, last four digits and fingerprint, never a number.
--
-- Arguments: s: a token or saved card.
-- Returns: the card as JSON.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_card_json(s providers_sandboxsource) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('brand', s.brand, 'last4', s.last4, 'exp_month', s.exp_month,
    'exp_year', s.exp_year, 'fingerprint', s.fingerprint, 'funding', s.funding);
$$;
