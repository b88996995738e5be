-- Whether a transfer with a known id says the same as the one that was booked, in TigerBeetle's
-- order of precedence.
--
-- Arguments: t_*: the transfer that is asked about; e_*: the one that was booked; p_amount,
--   p_document: of the pending transfer that e settled.
-- Returns: 46 (exists, the same) or the code of the first field that differs
--   (ledger.status.TransferStatus).
-- Errors: none.
-- Callers: PUBLIC. Called by ledger_known and ledger_post_batch.
CREATE OR REPLACE FUNCTION ledger_compare(
    t_flags int, t_pending uuid, t_timeout int, t_debit uuid, t_credit uuid, t_amount bigint,
    t_document uuid, t_effective date, t_corrects uuid, t_ledger int, t_code int,
    e_flags int, e_pending uuid, e_timeout int, e_debit uuid, e_credit uuid, e_amount bigint,
    e_document uuid, e_effective date, e_corrects uuid, e_ledger int, e_code int,
    p_amount bigint, p_document uuid
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN t_flags <> e_flags THEN 36
        WHEN nullif(t_pending, '00000000-0000-0000-0000-000000000000')
             IS DISTINCT FROM nullif(e_pending, '00000000-0000-0000-0000-000000000000') THEN 40
        WHEN coalesce(t_timeout, 0) <> coalesce(e_timeout, 0) THEN 44
        WHEN (t_flags & 12) <> 0 THEN CASE
            WHEN coalesce(nullif(t_debit, '00000000-0000-0000-0000-000000000000'),
                          e_debit) <> e_debit THEN 37
            WHEN coalesce(nullif(t_credit, '00000000-0000-0000-0000-000000000000'),
                          e_credit) <> e_credit THEN 38
            WHEN coalesce(CASE WHEN (t_flags & 8) <> 0 THEN nullif(t_amount, 0) ELSE t_amount END,
                          p_amount) <> e_amount THEN 39
            WHEN coalesce(t_document, p_document) IS DISTINCT FROM e_document THEN 41
            WHEN t_effective IS DISTINCT FROM e_effective THEN 43
            WHEN t_corrects IS DISTINCT FROM e_corrects THEN 241
            WHEN coalesce(nullif(t_ledger, 0), e_ledger) <> e_ledger THEN 67
            WHEN coalesce(nullif(t_code, 0), e_code) <> e_code THEN 45
            ELSE 46 END
        WHEN t_debit IS DISTINCT FROM e_debit THEN 37
        WHEN t_credit IS DISTINCT FROM e_credit THEN 38
        WHEN (t_flags & 48) <> 0 AND coalesce(t_amount, e_amount) < e_amount THEN 39
        WHEN (t_flags & 48) = 0 AND t_amount IS DISTINCT FROM e_amount THEN 39
        WHEN t_document IS DISTINCT FROM e_document THEN 41
        WHEN t_effective IS DISTINCT FROM e_effective THEN 43
        WHEN t_corrects IS DISTINCT FROM e_corrects THEN 241
        WHEN t_ledger IS DISTINCT FROM e_ledger THEN 67
        WHEN t_code IS DISTINCT FROM e_code THEN 45
        ELSE 46 END
$$;
