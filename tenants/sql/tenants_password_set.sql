-- Set a password by a mailed link, and use up all links of the person.
--
-- Arguments: p_user; p_digests: the link's digests under every pepper; p_password: a hash;
--   p_login_stamp: the new one, which ends the person's logins.
-- Returns: false where the link does not count, or the person is not active.
-- Errors: none.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_password_set(
    p_user uuid, p_digests bytea[], p_password text, p_login_stamp uuid
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.tenants_passwordreset r
    WHERE r.user_id = p_user AND r.token_digest = ANY (p_digests) AND r.expires_at > now();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM public.tenants_passwordreset r WHERE r.user_id = p_user;
    UPDATE public.tenants_user u SET password = p_password, login_stamp = p_login_stamp
    WHERE u.id = p_user AND u.is_active;
    RETURN FOUND;
END $$;
