-- The way back: the functions as they were before this migration.
create or replace function sandbox_refund(
  p_account uuid, p_id uuid, p_charge uuid, p_key text, p_hash text, p_reference text,
  p_amount bigint, p_currency text, p_reason text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge; r providers_sandboxrefund; v_hash text;
begin
  select * into c from providers_sandboxcharge
    where id = p_charge and account_id = p_account for update;
  if not found then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select request_hash into v_hash from providers_sandboxoperation
    where account_id = p_account and idempotency_key = p_key;
  if v_hash <> p_hash then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  elsif v_hash = p_hash then
    select * into r from providers_sandboxrefund
      where account_id = p_account and idempotency_key = p_key;
    return sandbox_refund_json(r);
  end if;
  if c.state <> 'captured' then
    return sandbox_error('payment_unexpected_state',
      'Only a captured payment can be refunded; this one is ' || c.state || '.');
  elsif p_currency <> c.currency then
    return sandbox_error('currency_mismatch', 'The payment was captured in ' || c.currency || '.');
  elsif c.refunded_minor = c.captured_minor then
    return sandbox_error('charge_already_refunded', 'This payment has been refunded in full.');
  elsif p_amount <= 0 or p_amount > c.captured_minor - c.refunded_minor then
    return sandbox_error('amount_too_large', 'Refund between 1 and the '
      || (c.captured_minor - c.refunded_minor) || ' minor units that are left.');
  end if;
  perform sandbox_seen(p_account, p_key, p_hash, 'refund', c.id);
  insert into providers_sandboxrefund (id, created_at, account_id, charge_id, idempotency_key,
      reference, amount_minor, currency, reason)
    values (p_id, now(), p_account, c.id, p_key, p_reference, p_amount, p_currency, p_reason)
    returning * into r;
  update providers_sandboxcharge set refunded_minor = refunded_minor + p_amount where id = c.id;
  return sandbox_refund_json(r);
end $$;

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
           'sbdp_' || replace(c.id::text, '-', ''), c.reference, -c.captured_minor, 0, c.currency,
           c.captured_at + make_interval(secs => c.settle_after_s),
           c.captured_at + make_interval(secs => c.settle_after_s)
      from providers_sandboxcharge c
      where c.account_id = p_account and c.disputed
        and c.captured_at + make_interval(secs => c.settle_after_s) <= now()
  )
  select to_jsonb(l) from lines l
    where l.created >= p_since and l.created < p_until
      and (p_after = '' or (l.created, l.id) > (select a.created, a.id from lines a where a.id = p_after))
    order by l.created, l.id limit p_limit;
$$;

drop function sandbox_reduce_dispute(providers_sandboxcharge);
drop function sandbox_disputed_minor(providers_sandboxcharge);
