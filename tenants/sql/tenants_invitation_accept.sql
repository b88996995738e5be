-- Use up an invitation: its address becomes a member of the tenant and in the role that it names.
-- With a password the person is made; without, it is the existing person of the invited address. A
-- person who was there before never becomes staff: what app_auth may do to others' passwords
-- (tenants_password_renew) would then reach staff.
--
-- Arguments: p_digests: the link's digests under every pepper; p_user, p_membership: ids, the first
--   of a new or of the existing person; p_name, p_password (a hash), p_login_stamp: of a new
--   person, else null.
-- Returns: false where the invitation is not open, or is not this person's; nothing has changed
--   then.
-- Errors: unique_violation where the address, or the membership, is there already.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_invitation_accept(
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
