-- How much the cardholder disputes: what was captured, less what had been refunded when the time of
-- the dispute came.
--
-- Arguments: c: a captured charge.
-- Returns: the amount in minor units.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_disputed_minor(c providers_sandboxcharge) returns bigint
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select c.captured_minor - coalesce(sum(r.amount_minor), 0)::bigint
    from providers_sandboxrefund r
    where r.charge_id = c.id
      and r.created_at < c.captured_at + make_interval(secs => c.settle_after_s);
$$;
