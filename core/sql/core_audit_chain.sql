-- Whose chain an audit record belongs to: the merchant's, else the reseller's, else the platform's.
-- The unique index audit_chain_place rests on it.
--
-- Arguments: merchant, reseller: the record's tenants, or null.
-- Returns: the tenant's id that names the chain; the zero uuid for the platform.
-- Errors: none.
-- Callers: PUBLIC.
CREATE OR REPLACE FUNCTION core_audit_chain(merchant uuid, reseller uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(merchant, reseller, '00000000-0000-0000-0000-000000000000'::uuid);
