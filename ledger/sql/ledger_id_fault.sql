-- What is wrong with the flags or the id of a transfer, before anything is looked up.
--
-- Arguments: flags: ledger.flags.TransferFlags; id.
-- Returns: a code of ledger.status.TransferStatus, or null.
-- Errors: none.
-- Callers: none. Called by ledger_batch_faults and ledger_batch_repeat, which run as app_definer.
--   One expression over scalars, as all ledger_*_fault and ledger_*_minor are: the planner puts it
--   in the place of the call.
CREATE OR REPLACE FUNCTION ledger_id_fault(flags int, id uuid) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN flags & -256 <> 0 THEN 4
        WHEN id IS NULL OR id = '00000000-0000-0000-0000-000000000000' THEN 5
        WHEN id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 6 END
$$;
