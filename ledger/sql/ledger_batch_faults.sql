-- What is wrong with each transfer of a batch by itself, whatever the others do.
--
-- Arguments: p_id to p_timeout: the batch, as in ledger_post; flags, d, c: its flags and the places
--   of its accounts; seen: those of ledger_batch_seen; account_ledger, merchant, reseller: of the
--   accounts.
-- Returns: for each transfer a code of ledger.status.TransferStatus, or null; it may end with the
--   last code, and is null where nothing is wrong.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_faults(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_pending uuid[], p_timeout int[], flags int[], d int[], c int[], seen int[],
    account_ledger int[], merchant uuid[], reseller uuid[]
) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    zero CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ones CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    faults int[]; fault int; f int; x int; y int;
BEGIN
    FOR i IN 1..cardinality(p_id) LOOP
        f := flags[i]; x := d[i]; y := c[i];
        -- Of the usual kinds one expression asks whether all is well.
        IF f & 12 = 0 THEN
            CONTINUE WHEN f & -4 = 0 AND seen[i] IS NULL AND p_pending[i] IS NULL
                AND (p_timeout[i] IS NULL OR f & 2 <> 0) AND p_amount[i] > 0 AND p_code[i] <> 0
                AND p_id[i] NOT IN (zero, ones)
                AND x <> y AND account_ledger[x] = p_ledger[i] AND account_ledger[y] = p_ledger[i]
                AND (merchant[x] = merchant[y]) IS NOT false
                AND (reseller[x] = reseller[y]) IS NOT false;
        ELSE
            CONTINUE WHEN f IN (4, 5, 8, 9) AND seen[i] IS NULL AND p_timeout[i] IS NULL
                AND (p_amount[i] > 0) IS NOT false AND p_id[i] NOT IN (zero, ones)
                AND p_pending[i] NOT IN (zero, ones, p_id[i]);
        END IF;
        fault := coalesce(ledger_id_fault(f, p_id[i]), seen[i]);
        IF fault IS NULL AND f & 12 <> 0 THEN
            fault := ledger_settlement_fault(f, p_id[i], p_amount[i], p_pending[i], p_timeout[i]);
        ELSIF fault IS NULL THEN
            fault := ledger_transfer_fault(
                f, p_debit[i], p_credit[i], p_amount[i], p_ledger[i], p_code[i], p_pending[i],
                p_timeout[i], account_ledger[x], account_ledger[y], merchant[x], merchant[y],
                reseller[x], reseller[y]);
        END IF;
        IF fault IS NOT NULL THEN
            faults[i] := fault;
        END IF;
    END LOOP;
    RETURN faults;
END $$;
