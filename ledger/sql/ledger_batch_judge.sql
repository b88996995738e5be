-- Judge the transfers of a batch in order, in memory, each on the balances as those before it left
-- them. A linked set that fails is undone in memory, without a subtransaction: a rolled-back one
-- would release the locks taken in it.
--
-- Arguments: by place, the batch's transfers first and then the stored ones that it settles: flags;
--   codes; d, c: places of the accounts, or null; answers: amounts, -1 where not booked yet; state:
--   how a pending one has ended. Of the batch alone: p_id to p_corrects, as in ledger_post; seen,
--   previous: those of ledger_batch_seen and ledger_batch_previous; faults: what is wrong with each
--   by itself; targets: what it settles. Of the stored ones alone: expires. Of the accounts, in id
--   order: account, account_ledger, b: balances, as in ledger_batch_accounts. at: when the first is
--   booked. h: null, or 8 columns to fill.
-- Returns: answers: for each transfer the amount moved, or a negated code of TransferStatus.
--   b: the balances after the batch. d, c, targets: as found. h: the four balances of the debit
--   account after each booked transfer, and of the credit account, where they are kept.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_judge(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_pending uuid[], p_timeout int[], p_effective date[], p_corrects uuid[], seen int[],
    previous int[], flags int[], codes int[], documents uuid[], faults int[], at timestamptz,
    account uuid[], account_ledger int[], expires timestamptz[], state int[], INOUT d int[],
    INOUT c int[], INOUT targets int[], INOUT answers bigint[], INOUT b bigint[], INOUT h bigint[]
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    n CONSTANT int := cardinality(p_id); chain int := 0; is_broken boolean := false;
    f int; fault int; moved bigint; x int; y int; k int; first int; last int; way int;
BEGIN
    FOR i IN 1..n LOOP
        f := flags[i]; k := targets[i];
        IF f & 1 <> 0 AND chain = 0 THEN chain := i; END IF;
        fault := CASE WHEN f & 1 <> 0 AND i = n THEN 2 WHEN is_broken THEN 1 ELSE faults[i] END;
        IF (fault > 2) IS NOT false AND (previous[i] IS NOT NULL OR answers[k] < 0) THEN
            SELECT r.* INTO fault, k FROM ledger_batch_repeat(i, fault, k, p_id, p_debit, p_credit,
                p_amount, p_ledger, p_pending, p_timeout, p_effective, p_corrects, seen, previous,
                flags, codes, documents, account, account_ledger, targets, answers, d, c) r;
            targets[i] := k;
        END IF;
        IF fault IS NULL AND f & 12 = 0 THEN
            x := d[i]; y := c[i]; moved := p_amount[i];
            IF f & 48 <> 0 THEN
                moved := ledger_moved_minor(f, moved, b[x][1], b[x][2], b[x][4], b[y][3], b[y][4],
                                            b[y][2]);
            END IF;
            IF ledger_covers(moved, b[x][5], b[x][1], b[x][2], b[x][4], b[y][5], b[y][3], b[y][4],
                             b[y][2]) IS NOT true THEN
                fault := ledger_balance_fault(f, moved, b[x][5], b[x][1], b[x][2], b[x][4],
                                              b[y][5], b[y][3], b[y][4], b[y][2]);
            END IF;
        ELSIF fault IS NULL THEN
            x := d[k]; y := c[k]; d[i] := x; c[i] := y;
            moved := ledger_settled_minor(f, p_amount[i], answers[k]);
            fault := ledger_settled_fault(f, p_debit[i], p_credit[i], p_ledger[i], p_code[i], moved,
                answers[k], flags[k], account[x], account[y], account_ledger[x], codes[k], state[k],
                expires[k - n] <= at + (i - 1) * interval '1 microsecond', b[x][5], b[y][5]);
        END IF;
        -- Book it, or undo those that are linked to it.
        first := i; last := i; way := 1; answers[i] := coalesce(-fault, moved);
        IF fault IS NOT NULL THEN
            last := i - 1; way := -1;
            IF chain > 0 AND NOT is_broken THEN first := chain; is_broken := true; END IF;
        END IF;
        FOR m IN REVERSE last..first LOOP
            f := flags[m]; x := d[m]; y := c[m];
            IF f & 14 <> 0 THEN
                k := CASE WHEN f & 2 <> 0 THEN m ELSE targets[m] END;
                moved := CASE k WHEN m THEN way ELSE -way END * answers[k];
                b[x][1] := b[x][1] + moved; b[y][3] := b[y][3] + moved;
                IF flags[k] & 192 <> 0 AND f & 4 = 0 THEN
                    b[x][5] := b[x][5] # (flags[k] >> 1 & 32);
                    b[y][5] := b[y][5] # (flags[k] >> 2 & 32);
                END IF;
                IF k <> m THEN state[k] := CASE way WHEN 1 THEN f & 12 ELSE 0 END; END IF;
            END IF;
            moved := CASE WHEN f & 10 = 0 THEN way * answers[m] ELSE 0 END;
            b[x][2] := b[x][2] + moved; b[y][4] := b[y][4] + moved; b[x][6] := m; b[y][6] := m;
            IF way < 0 THEN answers[m] := -1; END IF;
        END LOOP;
        IF fault IS NULL AND b[x][5] & 8 <> 0 THEN
            h[i][1] := b[x][1]; h[i][2] := b[x][2]; h[i][3] := b[x][3]; h[i][4] := b[x][4];
        END IF;
        IF fault IS NULL AND b[y][5] & 8 <> 0 THEN
            h[i][5] := b[y][1]; h[i][6] := b[y][2]; h[i][7] := b[y][3]; h[i][8] := b[y][4];
        END IF;
        IF flags[i] & 1 = 0 OR fault = 2 THEN chain := 0; is_broken := false; END IF;
    END LOOP;
END $$;
