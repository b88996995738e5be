-- Count an attempt, or refuse it. Returns 0, or the seconds until the counter opens again.
-- A refused attempt changes nothing, so knocking on a closed counter does not keep it closed.
CREATE FUNCTION core_throttle_take(
    p_kind text, p_subject text, p_free integer, p_first_s integer, p_max_s integer,
    p_cap integer, p_leak_s integer
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
    reached integer;
    opens timestamptz;
BEGIN
    INSERT INTO public.core_attemptthrottle AS t
        (kind, subject, level, counted_at, free_at, expires_at)
    VALUES (p_kind, p_subject, 1, at, at, at)
    ON CONFLICT ON CONSTRAINT throttle_once DO UPDATE
        SET level = least(p_cap, 1 + greatest(0, t.level - floor(
                greatest(0, extract(epoch FROM at - t.counted_at)) / p_leak_s)::integer)),
            counted_at = at
        WHERE t.free_at <= at
    RETURNING t.level INTO reached;
    IF reached IS NULL THEN
        SELECT t.free_at INTO opens FROM public.core_attemptthrottle t
         WHERE t.kind = p_kind AND t.subject = p_subject;
        RETURN greatest(1, ceil(extract(epoch FROM coalesce(opens, at) - at))::integer);
    END IF;
    UPDATE public.core_attemptthrottle t
       SET free_at = at + CASE WHEN reached < p_free THEN interval '0'
               ELSE make_interval(secs => least(p_max_s, p_first_s * 2.0 ^ (reached - p_free)))
           END,
           expires_at = at + make_interval(secs => p_max_s + p_leak_s::bigint * reached)
     WHERE t.kind = p_kind AND t.subject = p_subject;
    RETURN 0;
END $$;

-- The same for mails, in whatever scope a service sends one; other counters are the login's alone.
CREATE FUNCTION core_throttle_take_mail(
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

ALTER FUNCTION core_throttle_take(text, text, integer, integer, integer, integer, integer)
    OWNER TO app_definer;
ALTER FUNCTION core_throttle_take_mail(text, text, integer, integer, integer, integer, integer)
    OWNER TO app_definer;
REVOKE ALL ON FUNCTION
    core_throttle_take(text, text, integer, integer, integer, integer, integer),
    core_throttle_take_mail(text, text, integer, integer, integer, integer, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    core_throttle_take(text, text, integer, integer, integer, integer, integer) TO app_auth;
GRANT EXECUTE ON FUNCTION
    core_throttle_take_mail(text, text, integer, integer, integer, integer, integer)
    TO app_auth, app_merchant, app_reseller, app_staff;
