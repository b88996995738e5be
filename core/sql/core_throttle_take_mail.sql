-- core_throttle_take for mails, in whatever scope a service sends one; other counters are the
-- login's alone.
--
-- Arguments: those of core_throttle_take; p_kind begins with 'mail_'.
-- Returns: 0 where the attempt was counted, else the seconds until the counter opens again.
-- Errors: insufficient_privilege for a kind that does not begin with 'mail_'.
-- Callers: app_auth, app_merchant, app_reseller, app_staff. Runs as app_definer.
CREATE OR REPLACE FUNCTION core_throttle_take_mail(
    p_kind text, p_subject text, p_free integer, p_first_s integer, p_max_s integer,
    p_cap integer, p_leak_s integer
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_kind NOT LIKE 'mail\_%' THEN
        RAISE EXCEPTION 'core_throttle_take_mail counts mails alone, not %', p_kind
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN public.core_throttle_take(
        p_kind, p_subject, p_free, p_first_s, p_max_s, p_cap, p_leak_s);
END $$;
