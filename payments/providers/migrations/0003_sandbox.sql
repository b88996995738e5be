-- The sandbox's bank. Every call is one statement and one commit; app_definer owns the functions and
-- is the only role with rights on the tables. Refusals come back as {"error": {code, message}}: they
-- are answers of a server, not faults of the database. States and cards: providers/sandbox/.

create function sandbox_error(p_code text, p_message text) returns jsonb
language sql immutable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('error', jsonb_build_object('code', p_code, 'message', p_message));
$$;

create function sandbox_charge_json(c providers_sandboxcharge) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'id', 'sbpay_' || replace(c.id::text, '-', ''),
    'reference', c.reference, 'state', c.state, 'amount', c.amount_minor,
    'captured', c.captured_minor, 'refunded', c.refunded_minor, 'fee', c.fee_minor,
    'currency', c.currency, 'card', c.card, 'decline_code', c.decline_code,
    'decline_message', c.decline_message, 'challenge', c.challenge_id, 'created', c.created_at);
$$;

create function sandbox_refund_json(r providers_sandboxrefund) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object(
    'id', 'sbre_' || replace(r.id::text, '-', ''),
    'payment', 'sbpay_' || replace(r.charge_id::text, '-', ''),
    'reference', r.reference, 'state', 'succeeded', 'amount', r.amount_minor,
    'currency', r.currency, 'reason', r.reason, 'created', r.created_at);
$$;

-- 1.5 %, half a minor unit rounded up.
create function sandbox_fee(p_captured bigint) returns bigint
language sql immutable set search_path = pg_catalog, public, pg_temp as $$
  select div(p_captured::numeric * 150 + 5000, 10000)::bigint;
$$;

create function sandbox_emit(p_account uuid, p_type text, p_payload jsonb, p_due timestamptz)
returns void language sql set search_path = pg_catalog, public, pg_temp as $$
  insert into providers_sandboxevent (id, created_at, account_id, type, payload, due_at, attempts)
  values (gen_random_uuid(), now(), p_account, p_type, p_payload, p_due, 0);
$$;

-- The cardholder disputes the whole capture some seconds after it.
create function sandbox_schedule_dispute(c providers_sandboxcharge) returns void
language sql set search_path = pg_catalog, public, pg_temp as $$
  select sandbox_emit(c.account_id, 'dispute.opened', jsonb_build_object(
      'id', 'sbdp_' || replace(c.id::text, '-', ''),
      'payment', 'sbpay_' || replace(c.id::text, '-', ''),
      'reference', c.reference, 'amount', c.captured_minor, 'currency', c.currency,
      'reason', 'fraudulent', 'status', 'needs_response',
      'evidence_due_by', c.captured_at + interval '7 days'),
    c.captured_at + make_interval(secs => c.settle_after_s))
  where c.disputed and c.state = 'captured';
$$;

-- Bring a charge that was waiting for the payer or for the network to its end, and say so.
create function sandbox_finish(c providers_sandboxcharge, p_code text, p_message text)
returns providers_sandboxcharge
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare v_state text := case when p_code <> '' then 'declined'
                             when c.manual_capture then 'authorized' else 'captured' end;
begin
  update providers_sandboxcharge set
      state = v_state, decline_code = p_code, decline_message = p_message, settle_at = null,
      captured_minor = case when v_state = 'captured' then amount_minor else 0 end,
      fee_minor = case when v_state = 'captured' then sandbox_fee(amount_minor) end,
      captured_at = case when v_state = 'captured' then now() end
    where id = c.id returning * into c;
  perform sandbox_emit(c.account_id, 'payment.' || c.state, sandbox_charge_json(c), now());
  perform sandbox_schedule_dispute(c);
  return c;
end $$;

create function sandbox_tokenize(
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

-- Take a token for its one use. Null when it can be used, else why it cannot.
create function sandbox_take_token(s providers_sandboxsource) returns jsonb
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if s.expires_at <= now() then
    return sandbox_error('token_expired', 'This token is older than 15 minutes; make a new one.');
  end if;
  update providers_sandboxsource set used_at = now() where id = s.id and used_at is null;
  if not found then
    return sandbox_error('token_already_used',
      'This token was used before. A token is good for one use; make a new one.');
  end if;
  return null;
end $$;

create function sandbox_card_json(s providers_sandboxsource) returns jsonb
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select jsonb_build_object('brand', s.brand, 'last4', s.last4, 'exp_month', s.exp_month,
    'exp_year', s.exp_year, 'fingerprint', s.fingerprint, 'funding', s.funding);
$$;

create function sandbox_attach(p_id uuid, p_token uuid, p_merchant text, p_key text)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare s providers_sandboxsource; v_error jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_key, 0));
  select * into s from providers_sandboxsource where attach_key = p_key;
  if not found then
    select * into s from providers_sandboxsource
      where id = p_token and merchant_key = p_merchant and not reusable;
    if not found then
      return sandbox_error('resource_missing', 'No such token. Make one with POST /v1/tokens.');
    end if;
    v_error := sandbox_take_token(s);
    if v_error is not null then return v_error; end if;
    s.id := p_id; s.created_at := now(); s.reusable := true; s.attach_key := p_key;
    s.expires_at := null; s.used_at := null;
    insert into providers_sandboxsource select s.*;
  end if;
  return jsonb_build_object('id', 'sbpm_' || replace(s.id::text, '-', ''),
    'card', sandbox_card_json(s));
end $$;

create function sandbox_create_payment(
  p_account uuid, p_id uuid, p_key text, p_hash text, p_reference text, p_source uuid,
  p_merchant text, p_amount bigint, p_currency text, p_manual boolean, p_off_session boolean,
  p_return_url text, p_settle_after_s integer
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare s providers_sandboxsource; c providers_sandboxcharge; v_error jsonb;
begin
  -- Two requests with one key wait for each other, so that the second finds the first's charge.
  perform pg_advisory_xact_lock(hashtextextended(p_account::text || p_key, 0));
  select * into c from providers_sandboxcharge
    where account_id = p_account and idempotency_key = p_key;
  if found then
    return case when c.request_hash = p_hash then sandbox_charge_json(c)
      else sandbox_error('idempotency_key_reused', 'This key was used for another request.') end;
  end if;
  select * into s from providers_sandboxsource where id = p_source and merchant_key = p_merchant;
  if not found then
    return sandbox_error('resource_missing', 'No such token or saved card for this merchant.');
  end if;
  if s.outcome = 'lose_request' then return '{"lost": true}'; end if;
  if not s.reusable then
    v_error := sandbox_take_token(s);
    if v_error is not null then return v_error; end if;
  end if;
  c.state := case
    when s.outcome = 'decline' then 'declined'
    when s.outcome like 'challenge%' then
      case when p_off_session then 'declined' else 'requires_action' end
    when s.outcome = 'process' then 'processing'
    when p_manual then 'authorized' else 'captured' end;
  insert into providers_sandboxcharge (id, created_at, account_id, idempotency_key, request_hash,
      reference, merchant_key, amount_minor, captured_minor, refunded_minor, fee_minor, currency,
      manual_capture, state, outcome, decline_code, decline_message, disputed, available_at_once,
      challenge_id, return_url, card, settle_after_s, settle_at, captured_at)
    values (p_id, now(), p_account, p_key, p_hash, p_reference, p_merchant, p_amount,
      case when c.state = 'captured' then p_amount else 0 end, 0,
      case when c.state = 'captured' then sandbox_fee(p_amount) end, p_currency, p_manual, c.state,
      s.outcome,
      -- A challenge keeps what comes after it; off session there is nobody to answer it.
      case when c.state = 'declined' and s.outcome <> 'decline' then 'authentication_required'
        else s.decline_code end,
      case when c.state = 'declined' and s.outcome <> 'decline'
        then 'Your card was declined. This transaction requires authentication.'
        else s.decline_message end,
      s.disputed, s.available_at_once,
      case when c.state = 'requires_action' then gen_random_uuid() end, p_return_url,
      sandbox_card_json(s), p_settle_after_s,
      case when c.state = 'processing' then now() + make_interval(secs => p_settle_after_s) end,
      case when c.state = 'captured' then now() end)
    returning * into c;
  perform sandbox_schedule_dispute(c);
  if s.outcome = 'lose_answer' then
    perform sandbox_emit(p_account, 'payment.' || c.state, sandbox_charge_json(c),
      now() + make_interval(secs => p_settle_after_s));
    return '{"lost": true}';
  end if;
  return sandbox_charge_json(c);
end $$;

-- The newest charge under a reference, but one that holds money before one that does not.
create function sandbox_find(p_account uuid, p_charge uuid, p_reference text)
returns providers_sandboxcharge
language sql stable set search_path = pg_catalog, public, pg_temp as $$
  select * from providers_sandboxcharge c
    where c.account_id = p_account
      and case when p_charge is null then c.reference = p_reference else c.id = p_charge end
    order by (c.state in ('captured', 'authorized')) desc, c.created_at desc limit 1;
$$;

create function sandbox_get_payment(p_account uuid, p_charge uuid, p_reference text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge := sandbox_find(p_account, p_charge, p_reference);
begin
  if c.id is null then return null; end if;
  if c.state = 'processing' and c.settle_at <= now() then
    select * into c from providers_sandboxcharge where id = c.id for update;
    if c.state = 'processing' then c := sandbox_finish(c, '', ''); end if;
  end if;
  return sandbox_charge_json(c);
end $$;

-- Has this key been seen on this account? Null: no, and it is noted now.
create function sandbox_seen(p_account uuid, p_key text, p_hash text, p_kind text, p_charge uuid)
returns text
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare v_hash text;
begin
  insert into providers_sandboxoperation (id, created_at, account_id, idempotency_key,
      request_hash, kind, charge_id)
    values (gen_random_uuid(), now(), p_account, p_key, p_hash, p_kind, p_charge)
    on conflict (account_id, idempotency_key) do nothing;
  if found then return null; end if;
  select request_hash into v_hash from providers_sandboxoperation
    where account_id = p_account and idempotency_key = p_key;
  return case when v_hash = p_hash then 'same' else 'other' end;
end $$;

create function sandbox_capture(
  p_account uuid, p_charge uuid, p_key text, p_hash text, p_amount bigint, p_currency text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge; v_seen text;
begin
  select * into c from providers_sandboxcharge
    where id = p_charge and account_id = p_account for update;
  if not found then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select case when request_hash = p_hash then 'same' else 'other' end into v_seen
    from providers_sandboxoperation where account_id = p_account and idempotency_key = p_key;
  if v_seen = 'same' then return sandbox_charge_json(c); end if;
  if v_seen = 'other' then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  end if;
  if c.state = 'captured' then
    return sandbox_error('charge_already_captured', 'This payment has already been captured.');
  elsif c.state <> 'authorized' then
    return sandbox_error('payment_unexpected_state',
      'Only an authorised payment can be captured; this one is ' || c.state || '.');
  elsif p_currency <> c.currency then
    return sandbox_error('currency_mismatch', 'The payment was authorised in ' || c.currency || '.');
  elsif p_amount <= 0 or p_amount > c.amount_minor then
    return sandbox_error('amount_too_large',
      'Capture between 1 and the ' || c.amount_minor || ' minor units that are authorised.');
  end if;
  perform sandbox_seen(p_account, p_key, p_hash, 'capture', c.id);
  update providers_sandboxcharge set state = 'captured', captured_minor = p_amount,
      fee_minor = sandbox_fee(p_amount), captured_at = now()
    where id = c.id returning * into c;
  perform sandbox_schedule_dispute(c);
  return sandbox_charge_json(c);
end $$;

create function sandbox_cancel(
  p_account uuid, p_charge uuid, p_reference text, p_key text, p_hash text
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge := sandbox_find(p_account, p_charge, p_reference);
begin
  if c.id is null then return sandbox_error('resource_missing', 'No such payment.'); end if;
  select * into c from providers_sandboxcharge where id = c.id for update;
  if sandbox_seen(p_account, p_key, p_hash, 'cancel', c.id) = 'other' then
    return sandbox_error('idempotency_key_reused', 'This key was used for another request.');
  end if;
  if c.state = 'canceled' then return sandbox_charge_json(c); end if;
  if c.state not in ('authorized', 'requires_action') then
    return sandbox_error('payment_unexpected_state',
      'Only an authorised or open payment can be canceled; this one is ' || c.state || '.');
  end if;
  update providers_sandboxcharge set state = 'canceled' where id = c.id returning * into c;
  return sandbox_charge_json(c);
end $$;

create function sandbox_refund(
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

create function sandbox_get_refund(p_account uuid, p_refund uuid, p_reference text) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select sandbox_refund_json(r) from providers_sandboxrefund r
    where r.account_id = p_account
      and case when p_refund is null then r.reference = p_reference else r.id = p_refund end
    order by r.created_at desc limit 1;
$$;

-- Null p_passed only looks. An answered challenge keeps its first answer.
create function sandbox_challenge(p_challenge uuid, p_passed boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare c providers_sandboxcharge;
begin
  select * into c from providers_sandboxcharge where challenge_id = p_challenge for update;
  if not found then return null; end if;
  if c.state = 'requires_action' and p_passed is not null then
    c := sandbox_finish(c,
      case when not p_passed then 'payment_intent_authentication_failure'
           else c.decline_code end,
      case when not p_passed then 'The card''s bank could not confirm that it is you.'
             || ' Try again or use another card.'
           else c.decline_message end);
  end if;
  return sandbox_charge_json(c) || jsonb_build_object('return_url', c.return_url);
end $$;

create function sandbox_lines(
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

-- Settle what is due, then lease due webhooks: whoever claims one sends it within the lease, and
-- a sender that dies leaves it to the next claim. After 15 attempts (about a day) it is given up.
create function sandbox_claim_events(p_limit integer, p_account uuid) returns setof jsonb
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

create function sandbox_event_delivered(p_id uuid) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update providers_sandboxevent set delivered_at = now() where id = p_id and delivered_at is null;
$$;

do $$
declare f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname like 'sandbox\_%'
  loop
    execute format('revoke all on function %s from public', f);
    execute format('alter function %s owner to app_definer', f);
  end loop;
  -- Only the functions that run with their owner's rights are doors; the rest are their helpers.
  for f in select p.oid::regprocedure from pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname like 'sandbox\_%' and p.prosecdef
  loop
    execute format('grant execute on function %s to merchantry_app', f);
  end loop;
end $$;

-- A card is tokenised, or saved, inside the merchant's own transaction too.
grant execute on function sandbox_tokenize(uuid, text, integer, text, text, text, text, boolean,
  boolean, text, text, text, integer, integer, text) to app_merchant;
