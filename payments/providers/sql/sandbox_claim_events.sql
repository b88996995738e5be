-- Settle what is due, then lease due webhooks: the sender that claims one sends it within the
-- lease, and one that dies leaves it to the next claim. After 15 attempts (about a day) it is given
-- up.
--
-- Arguments: p_limit: how many of each at the most; p_account: of this account alone, or null for
--   all.
-- Returns: a JSON object {row, account, event} for each webhook to send.
-- Errors: none; what another sender holds is skipped.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_claim_events(p_limit integer, p_account uuid) returns setof jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge;
begin
  for c in select * from providers_sandboxcharge x
      where x.state = 'processing' and x.settle_at <= now()
        and (p_account is null or x.account_id = p_account)
      order by x.settle_at limit p_limit for update skip locked
  loop
    perform sandbox_finish(c, '', '');
  end loop;
  return query
    update providers_sandboxevent e set attempts = e.attempts + 1,
        due_at = now() + make_interval(secs => least(14400, 15 * power(2, e.attempts)::integer))
      from (select id from providers_sandboxevent x
              where x.delivered_at is null and x.due_at <= now() and x.attempts < 15
                and (p_account is null or x.account_id = p_account)
              order by x.due_at limit p_limit for update skip locked) due
      where e.id = due.id
      returning jsonb_build_object('row', e.id, 'account', e.account_id, 'event',
        jsonb_build_object('id', 'sbevt_' || replace(e.id::text, '-', ''), 'type', e.type,
          'created', e.created_at, 'data', e.payload));
end $$;
