-- The way back: the functions as they were before this migration.
create or replace function sandbox_find(p_account uuid, p_charge uuid, p_reference text)
returns providers_sandboxcharge
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select * from providers_sandboxcharge c
    where c.account_id = p_account
      and case when p_charge is null then c.reference = p_reference else c.id = p_charge end
    order by (c.state in ('captured', 'authorized')) desc, c.created_at desc limit 1;
$$;

create or replace function sandbox_get_refund(p_account uuid, p_refund uuid, p_reference text) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select sandbox_refund_json(r) from providers_sandboxrefund r
    where r.account_id = p_account
      and case when p_refund is null then r.reference = p_reference else r.id = p_refund end
    order by r.created_at desc limit 1;
$$;
