-- The hash of one account's password, where somebody logs in; nobody reads the column.
CREATE FUNCTION tenants_password_hash(p_user uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT u.password::text FROM public.tenants_user u WHERE u.id = p_user
$$;
ALTER FUNCTION tenants_password_hash(uuid) OWNER TO app_definer;
REVOKE ALL ON FUNCTION tenants_password_hash(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_password_hash(uuid) TO app_auth;

REVOKE SELECT ON tenants_user FROM merchantry_app, app_auth, app_staff;
GRANT SELECT (id, email, name, is_active, is_staff, is_superuser, last_login, created_at,
              login_stamp)
    ON tenants_user TO merchantry_app, app_auth, app_staff;
