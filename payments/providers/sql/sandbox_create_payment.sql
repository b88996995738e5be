-- Charge a token or saved card, at the most once for a key. Two requests with one key wait for each
-- other.
--
-- Arguments: p_account; p_id: of the charge; p_key: idempotency key; p_hash: the request's;
--   p_reference: ours; p_source; p_merchant; p_amount: in minor units; p_currency; p_manual:
--   authorise alone; p_off_session; p_return_url: where a challenge leads back; p_settle_after_s.
-- Returns: the charge as JSON; {"lost": true} for a card whose answer, or request, is lost on the
--   way.
-- Errors: none; a refusal is an answer, {"error": {code, message}}: idempotency_key_reused,
--   resource_missing, token_expired, token_already_used.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_create_payment(
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
