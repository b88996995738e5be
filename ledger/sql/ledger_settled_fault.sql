-- What keeps a post or a void from settling its pending transfer, in TigerBeetle's order of
-- precedence.
--
-- Arguments: flags to code: the post or void, as in ledger_post; moved: its amount, or the pending
--   one's where it names none; whole: the amount of the pending transfer, null or negative where
--   none is booked; t_*: the pending transfer, its accounts null where they are not in the scope;
--   state: the flag of what has ended it, or 0; is_expired; d_flags, c_flags: of the accounts.
-- Returns: a code of ledger.status.TransferStatus, or null.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_settled_fault(
    flags int, debit uuid, credit uuid, ledger int, code int, moved bigint, whole bigint,
    t_flags int, t_debit uuid, t_credit uuid, t_ledger int, t_code int, state int,
    is_expired boolean, d_flags bigint, c_flags bigint
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN whole IS NULL OR whole < 0 OR t_debit IS NULL OR t_credit IS NULL THEN 25
        WHEN t_flags & 2 = 0 THEN 26
        WHEN nullif(debit, '00000000-0000-0000-0000-000000000000') <> t_debit THEN 27
        WHEN nullif(credit, '00000000-0000-0000-0000-000000000000') <> t_credit THEN 28
        WHEN nullif(ledger, 0) <> t_ledger THEN 29
        WHEN nullif(code, 0) <> t_code THEN 30
        WHEN moved > whole THEN 31
        WHEN moved < whole AND flags & 8 <> 0 THEN 32
        WHEN state = 4 THEN 33
        WHEN state = 8 THEN 34
        WHEN state = 512 OR is_expired THEN 35
        WHEN flags & 4 <> 0 AND d_flags & 32 <> 0 THEN 65
        WHEN flags & 4 <> 0 AND c_flags & 32 <> 0 THEN 66 END
$$;
