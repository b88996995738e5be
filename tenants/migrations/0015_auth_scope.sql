-- Logging in runs before anybody is known, in a scope that sees everybody. So it writes by itself only
-- what makes nobody more than they are; the rest is done by functions that ask for a proof which the
-- database holds and this scope cannot read: the digest of a mailed link.

-- People: the moment of a login, and nothing else.
REVOKE INSERT, UPDATE ON tenants_user FROM app_auth;
GRANT UPDATE (last_login) ON tenants_user TO app_auth;
REVOKE INSERT ON tenants_membership FROM app_auth;

-- Invitations: read but for the digest that proves who was invited.
REVOKE SELECT, UPDATE ON tenants_invitation FROM app_auth;
GRANT SELECT (id, created_at, email, level, role, platform_id, reseller_id, merchant_id,
              pepper_version, invited_by_id, expires_at, accepted_at, revoked_at)
    ON tenants_invitation TO app_auth;

-- Authenticators are replaced in place, by a secret that is sealed for its person with the keys of
-- the platform, which SQL does not have. None is taken away, moved or made unconfirmed: whoever has
-- none may enrol one with the password alone.
REVOKE UPDATE, DELETE ON tenants_totpdevice FROM app_auth;
GRANT UPDATE (name, confirmed, secret_sealed, last_step) ON tenants_totpdevice TO app_auth;
DROP POLICY app_auth ON tenants_totpdevice;
CREATE POLICY app_auth ON tenants_totpdevice TO app_auth USING (true) WITH CHECK (confirmed);

-- Tokens, codes and links are used up or revoked, and stay whose they are. A row whose digest is known
-- must not change hands, nor go and come back as another person's.
REVOKE UPDATE ON tenants_recoverycode FROM app_auth;
GRANT UPDATE (used_at) ON tenants_recoverycode TO app_auth;
REVOKE UPDATE, DELETE ON tenants_refreshtoken FROM app_auth;
GRANT UPDATE (used_at, revoked_at) ON tenants_refreshtoken TO app_auth;
REVOKE UPDATE ON tenants_signinlink FROM app_auth;
GRANT UPDATE (used_at) ON tenants_signinlink TO app_auth;

-- What the functions below need.
CREATE POLICY app_definer ON tenants_invitation TO app_definer USING (true);
GRANT SELECT, UPDATE (accepted_at) ON tenants_invitation TO app_definer;
GRANT INSERT ON tenants_membership TO app_definer;
GRANT INSERT, UPDATE (password, login_stamp) ON tenants_user TO app_definer;

-- The open invitation of a link, by the link's digests under every pepper.
CREATE FUNCTION tenants_invitation_find(p_digests bytea[]) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT i.id FROM public.tenants_invitation i
    WHERE i.token_digest = ANY (p_digests)
      AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
$$;

-- Use an invitation up: its address becomes a member where it says, as what it says. With a password
-- the person is made; without, it is the person of the invited address who is there. False where the
-- invitation is not open, or is not this person's. Nobody who was there before becomes staff: what
-- app_auth may do to others' passwords (tenants_password_renew) would then reach staff.
CREATE FUNCTION tenants_invitation_accept(
    p_digests bytea[], p_user uuid, p_membership uuid,
    p_name text, p_password text, p_login_stamp uuid
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    invited public.tenants_invitation;
BEGIN
    SELECT i.* INTO invited FROM public.tenants_invitation i
    WHERE i.token_digest = ANY (p_digests)
      AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_password IS NOT NULL THEN
        INSERT INTO public.tenants_user
            (id, created_at, email, name, password, login_stamp, is_active, is_staff, is_superuser)
        VALUES
            (p_user, now(), invited.email, p_name, p_password, p_login_stamp, true,
             invited.level = 'platform', false);
    ELSE
        PERFORM FROM public.tenants_user u
        WHERE u.id = p_user AND u.email = invited.email AND u.is_active
          AND (u.is_staff OR invited.level <> 'platform');
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    UPDATE public.tenants_invitation i SET accepted_at = now() WHERE i.id = invited.id;
    INSERT INTO public.tenants_membership
        (id, created_at, user_id, level, role, platform_id, reseller_id, merchant_id, only_granted)
    VALUES
        (p_membership, now(), p_user, invited.level, invited.role, invited.platform_id,
         invited.reseller_id, invited.merchant_id, false);
    RETURN true;
END $$;

-- Set a password by a mailed link, and use up all links of the person. False where the link does not
-- count.
CREATE FUNCTION tenants_password_set(
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

-- Store a stronger hash of the password that somebody has just logged in with. The database cannot see
-- that it is of the same password, so nobody's of the platform is replaced.
CREATE FUNCTION tenants_password_renew(p_user uuid, p_stored text, p_renewed text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.tenants_user u SET password = p_renewed
    WHERE u.id = p_user AND u.password = p_stored AND NOT u.is_staff
      AND NOT EXISTS (
          SELECT FROM public.tenants_membership m WHERE m.user_id = u.id AND m.level = 'platform'
      );
    RETURN FOUND;
END $$;

ALTER FUNCTION tenants_invitation_find(bytea[]) OWNER TO app_definer;
ALTER FUNCTION tenants_invitation_accept(bytea[], uuid, uuid, text, text, uuid) OWNER TO app_definer;
ALTER FUNCTION tenants_password_set(uuid, bytea[], text, uuid) OWNER TO app_definer;
ALTER FUNCTION tenants_password_renew(uuid, text, text) OWNER TO app_definer;
REVOKE ALL ON FUNCTION tenants_invitation_find(bytea[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_invitation_accept(bytea[], uuid, uuid, text, text, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_password_set(uuid, bytea[], text, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_password_renew(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_invitation_find(bytea[]) TO app_auth;
GRANT EXECUTE ON FUNCTION tenants_invitation_accept(bytea[], uuid, uuid, text, text, uuid) TO app_auth;
GRANT EXECUTE ON FUNCTION tenants_password_set(uuid, bytea[], text, uuid) TO app_auth;
GRANT EXECUTE ON FUNCTION tenants_password_renew(uuid, text, text) TO app_auth;
