-- A page of the account's settlement lines: charges, refunds and disputes, oldest first.
--
-- Arguments: p_account; p_since, p_until: when they were made, the second excluded; p_after: the id
--   of the last line of the page before, or ''; p_limit.
-- Returns: a line as JSON each, with gross and fee in minor units and when it is available.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_lines(
  p_account uuid, p_since timestamptz, p_until timestamptz, p_after text, p_limit integer
) returns setof jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  with lines as (
    select 'sbl_ch_' || replace(c.id::text, '-', '') as id, 'charge' as kind,
           'sbpay_' || replace(c.id::text, '-', '') as provider_id, c.reference,
           c.captured_minor as gross, c.fee_minor as fee, c.currency, c.captured_at as created,
           c.captured_at + case when c.available_at_once then interval '0' else interval '2 days' end
             as available
      from providers_sandboxcharge c where c.account_id = p_account and c.captured_at is not null
    union all
    select 'sbl_re_' || replace(r.id::text, '-', ''), 'refund',
           'sbre_' || replace(r.id::text, '-', ''), r.reference, -r.amount_minor, 0, r.currency,
           r.created_at, r.created_at
      from providers_sandboxrefund r where r.account_id = p_account
    union all
    select 'sbl_dp_' || replace(c.id::text, '-', ''), 'dispute',
           'sbdp_' || replace(c.id::text, '-', ''), c.reference, -sandbox_disputed_minor(c), 0,
           c.currency,
           c.captured_at + make_interval(secs => c.settle_after_s),
           c.captured_at + make_interval(secs => c.settle_after_s)
      from providers_sandboxcharge c
      where c.account_id = p_account and c.disputed
        and c.captured_at + make_interval(secs => c.settle_after_s) <= now()
        and sandbox_disputed_minor(c) > 0
  )
  select to_jsonb(l) from lines l
    where l.created >= p_since and l.created < p_until
      and (p_after = '' or (l.created, l.id) > (select a.created, a.id from lines a where a.id = p_after))
    order by l.created, l.id limit p_limit;
$$;
