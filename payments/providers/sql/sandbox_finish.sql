-- Bring a charge that was waiting for the payer or for the network to its end, and send the webhook
-- that says so.
--
-- Arguments: c: the charge; p_code, p_message: why it is declined, or empty strings where it is
--   not.
-- Returns: the charge as it is then: declined, authorized or captured.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_finish(c providers_sandboxcharge, p_code text, p_message text)
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
