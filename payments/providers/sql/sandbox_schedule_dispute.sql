-- Have the cardholder dispute the whole capture some seconds after it.
--
-- Arguments: c: a charge; one that is not captured, or whose card does not dispute, is left alone.
-- Returns: nothing.
-- Errors: none.
-- Callers: none. Called by the sandbox's other functions, which run as app_definer.
create or replace function sandbox_schedule_dispute(c providers_sandboxcharge) returns void
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
