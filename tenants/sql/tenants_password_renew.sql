-- Store a stronger hash of the password that a person has just logged in with. The database cannot
-- see that it is of the same password, so a hash of the platform's people is never replaced.
--
-- Arguments: p_user; p_stored: the hash that was read; p_renewed: the one to store.
-- Returns: false where the stored hash is another one by now, or the person belongs to the
--   platform.
-- Errors: none.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_password_renew(p_user uuid, p_stored text, p_renewed text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.tenants_user u SET password = p_renewed
    WHERE u.id = p_user AND u.password = p_stored AND NOT u.is_staff
      AND NOT EXISTS (
          SELECT FROM public.tenants_membership m WHERE m.user_id = u.id AND m.level = 'platform'
      );
    RETURN FOUND;
END $$;
