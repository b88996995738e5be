-- Whether the process that holds something is gone: its lock is free, so its process, or its
-- connection, has ended. A shared lock, so that two callers that ask at the same time do not take
-- each other for the holder.
--
-- Arguments: holder: the holder's id, the key of its advisory lock (core/liveness.py), or null.
-- Returns: true where the holder is gone; false where it lives or there is none. The lock that was
--   tried stays until the transaction ends.
-- Errors: none.
-- Callers: PUBLIC.
CREATE OR REPLACE FUNCTION core_holder_died(holder bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT holder IS NOT NULL AND pg_catalog.pg_try_advisory_xact_lock_shared(holder)
$$;
