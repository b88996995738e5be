-- Answer a charge's 3-D Secure challenge, or only look at it. An answered challenge keeps its first
-- answer.
--
-- Arguments: p_challenge; p_passed: the payer's answer, or null to look.
-- Returns: the charge as JSON with its return_url; null for an unknown challenge.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
create or replace function sandbox_challenge(p_challenge uuid, p_passed boolean) returns jsonb
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
