-- What is wrong with a post or a void by itself, before what it settles is looked at, in
-- TigerBeetle's order of precedence.
--
-- Arguments: the transfer, as in ledger_post.
-- Returns: a code of ledger.status.TransferStatus, or null.
-- Errors: none.
-- Callers: none. Called by ledger_batch_faults, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_settlement_fault(
    flags int, id uuid, amount bigint, pending uuid, timeout int
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN flags & 12 = 12 OR flags & 242 <> 0 THEN 7
        WHEN pending IS NULL OR pending = '00000000-0000-0000-0000-000000000000' THEN 14
        WHEN pending = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 15
        WHEN pending = id THEN 16
        WHEN timeout <> 0 THEN 17
        WHEN amount = 0 AND flags & 4 <> 0 THEN 18
        WHEN amount < 0 THEN 218 END
$$;
