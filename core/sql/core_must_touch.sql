-- Fail where a statement found no row, so that a unit of work can travel with its COMMIT.
--
-- Arguments: touched: how many rows the statement changed; what: the message, which names the row.
-- Returns: nothing.
-- Errors: M0001 (core.unit.StaleState) where touched is 0: the row is no longer as it was read.
-- Callers: PUBLIC.
CREATE OR REPLACE FUNCTION core_must_touch(touched bigint, what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF touched = 0 THEN
        -- M0001 is core.unit.StaleState: the row is no longer as it was read.
        RAISE EXCEPTION USING ERRCODE = 'M0001', MESSAGE = what;
    END IF;
END $$;
