-- Count an attempt, or refuse it. A refused attempt changes nothing, so knocking on a closed
-- counter does not keep it closed.
--
-- Arguments: p_kind, p_subject: the counter; p_free: the level at which it begins to close;
--   p_first_s, p_max_s: seconds that it closes for, doubled with each further attempt up to the
--   second; p_cap: the highest level; p_leak_s: seconds in which the level falls by one.
-- Returns: 0 where the attempt was counted, else the seconds until the counter opens again.
-- Errors: none.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION core_throttle_take(
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
