-- In whose name a call posts, and what it may post in that name.
--
-- Arguments: p_role, p_tenant, p_corrects: those of ledger_post.
-- Returns: role; tenant: null where the role may post to all accounts.
-- Errors: insufficient_privilege without a scope, for a scope that the login role cannot open, and
--   for a correction in a tenant's scope.
-- Callers: none. Called by ledger_post, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_scope(
    p_role text, p_tenant uuid, p_corrects uuid[], OUT role text, OUT tenant uuid
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    role := current_setting('role', true);
    IF role = 'none' THEN
        -- The login role itself, outside any scope: it names the one it would have opened.
        IF coalesce(p_role, '') NOT IN ('app_merchant', 'app_reseller', 'app_staff', 'app_worker')
        THEN
            RAISE EXCEPTION 'ledger_post() needs a scope' USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- Only one that the process could have opened: a web process posts as no worker. Before 16
        -- there is one login role, which opens all of them, and membership knows no SET.
        IF NOT pg_has_role(session_user, p_role, CASE
                WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET'
                ELSE 'MEMBER' END) THEN
            RAISE EXCEPTION '% does not post as %', session_user, p_role
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        role := p_role;
        tenant := p_tenant;
    ELSIF role IN ('app_merchant', 'app_reseller') THEN
        tenant := nullif(current_setting('app.tenant', true), '')::uuid;
    END IF;
    IF role NOT IN ('app_merchant', 'app_reseller') THEN
        tenant := NULL;
        RETURN;
    END IF;
    tenant := coalesce(tenant, '00000000-0000-0000-0000-000000000000');
    -- A transfer is corrected once. A tenant that took that place could name any transfer there.
    IF p_corrects IS NOT NULL AND cardinality(array_remove(p_corrects, NULL)) > 0 THEN
        RAISE EXCEPTION 'corrections are booked by staff alone'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
