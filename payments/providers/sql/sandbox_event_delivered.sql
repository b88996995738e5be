-- Note that a webhook was delivered.
--
-- Arguments: p_id: the row of sandbox_claim_events.
-- Returns: nothing.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_event_delivered(p_id uuid) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update providers_sandboxevent set delivered_at = now() where id = p_id and delivered_at is null;
$$;
