-- Bring a dispute's notice that waits for its time up to date after a refund; where nothing is
-- left, it is not sent.
--
-- Arguments: c: the charge, with the refund.
-- Returns: nothing.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_reduce_dispute(c providers_sandboxcharge) returns void
language sql set search_path = pg_catalog, public, pg_temp as $$
  update providers_sandboxevent e set
      payload = jsonb_set(e.payload, '{amount}', to_jsonb(sandbox_disputed_minor(c))),
      delivered_at = case when sandbox_disputed_minor(c) = 0 then now() end
    where c.disputed and e.delivered_at is null and e.due_at > now()
      and e.account_id = c.account_id and e.type = 'dispute.opened'
      and e.payload ->> 'id' = 'sbdp_' || replace(c.id::text, '-', '');
$$;
