-- The open invitation of a mailed link.
--
-- Arguments: p_digests: the link's digests under every pepper.
-- Returns: the invitation's id; null where none is open.
-- Errors: none.
-- Callers: app_auth. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_invitation_find(p_digests bytea[]) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT i.id FROM public.tenants_invitation i
    WHERE i.token_digest = ANY (p_digests)
      AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
$$;
