-- The way back: the functions as they were before this migration.
create or replace function core_datakey_newest(tenant uuid, wanted text,
                                    OUT version integer, OUT wrapped text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.version, k.wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted ORDER BY k.version DESC LIMIT 1
$$;

create or replace function core_datakey_wrapped(tenant uuid, wanted text, wanted_version integer)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted AND k.version = wanted_version
$$;

DROP FUNCTION core_datakey_readable(uuid);
DROP FUNCTION core_scope_tenant();
