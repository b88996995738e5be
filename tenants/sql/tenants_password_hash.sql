-- The hash of one account's password, for logging in; no role reads the column.
--
-- Arguments: p_user.
-- Returns: the hash, or null for an unknown person.
-- Errors: none.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_password_hash(p_user uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT u.password::text FROM public.tenants_user u WHERE u.id = p_user
$$;
