-- Posting, opening and expiring, in functions of a readable size.
CREATE OR REPLACE FUNCTION ledger_batch_accounts(
    p_role text, p_tenant uuid, p_ids uuid[], OUT id uuid[], OUT ledger int[], OUT merchant uuid[],
    OUT reseller uuid[], OUT balances bigint[], OUT at timestamptz, OUT has_history boolean,
    OUT has_transit boolean
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT array_agg(a.id), array_agg(a.ledger), array_agg(a.merchant_id),
           array_agg(a.reseller_id),
           array_agg(ARRAY[a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted,
                           a.flags, 0]),
           greatest(clock_timestamp(), max(a.last_booked_at) + interval '1 microsecond'),
           bool_or(a.flags & 8 <> 0), bool_or(a.flags & 256 <> 0)
      INTO id, ledger, merchant, reseller, balances, at, has_history, has_transit
      FROM (SELECT x.* FROM ledger_account x
             WHERE x.id = ANY (p_ids)
               -- Another tenant's account is not found.
               AND (p_tenant IS NULL OR x.scope_id = p_tenant
                    OR (p_role = 'app_reseller' AND x.reseller_id = p_tenant))
             ORDER BY x.id FOR NO KEY UPDATE) a;
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_ended(p_ids uuid[]) RETURNS int[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT array_agg(coalesce(t.flags & 524, 0) ORDER BY u.pos)
              FROM unnest(p_ids) WITH ORDINALITY AS u (id, pos)
              LEFT JOIN ledger_transfer t ON t.pending_id = u.id);
END $$;
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
CREATE OR REPLACE FUNCTION ledger_batch_pendings(
    p_ids uuid[], OUT id uuid[], OUT debit uuid[], OUT credit uuid[], OUT amount bigint[],
    OUT code int[], OUT flags int[], OUT document uuid[], OUT expires timestamptz[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_ids IS NOT NULL THEN
        SELECT array_agg(t.id), array_agg(t.debit_account_id), array_agg(t.credit_account_id),
               array_agg(t.amount), array_agg(t.code), array_agg(t.flags),
               array_agg(t.document_id),
               array_agg(t.booked_at + make_interval(secs => nullif(t.timeout_s, 0)))
          INTO id, debit, credit, amount, code, flags, document, expires
          FROM ledger_transfer t WHERE t.id = ANY (p_ids);
    END IF;
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_previous(p_id uuid[]) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    has_repeats boolean := false;
BEGIN
    IF n <= 16 THEN
        FOR i IN 2..n LOOP
            has_repeats := has_repeats OR array_position(p_id, p_id[i]) < i;
        END LOOP;
    ELSE
        has_repeats := (SELECT count(DISTINCT u.id) FROM unnest(p_id) AS u (id)) < n;
    END IF;
    IF NOT has_repeats THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(x.previous ORDER BY x.pos) FROM (
        SELECT u.pos, lag(u.pos) OVER (PARTITION BY u.id ORDER BY u.pos)::int AS previous
        FROM unnest(p_id) WITH ORDINALITY AS u (id, pos)) x);
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_repeat(
    i int, INOUT fault int, INOUT target int, p_id uuid[], p_debit uuid[], p_credit uuid[],
    p_amount bigint[], p_ledger int[], p_pending uuid[], p_timeout int[], p_effective date[],
    p_corrects uuid[], seen int[], previous int[], flags int[], codes int[], documents uuid[],
    account uuid[], account_ledger int[], targets int[], answers bigint[], d int[], c int[]
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
DECLARE
    j int := previous[i];
    k int;
BEGIN
    IF previous IS NOT NULL AND answers[target] < 0 THEN
        -- The first of that id failed; perhaps a later one was booked.
        target := (SELECT max(u.pos) FROM unnest(p_id, answers) WITH ORDINALITY
                       AS u (id, answer, pos) WHERE u.id = p_pending[i] AND u.answer >= 0);
    END IF;
    IF ledger_id_fault(flags[i], p_id[i]) IS NOT NULL OR seen[i] IS NOT NULL THEN
        RETURN;
    END IF;
    WHILE j IS NOT NULL LOOP
        IF answers[j] >= 0 THEN
            k := CASE WHEN flags[j] & 12 <> 0 THEN targets[j] END;
            fault := ledger_compare(
                flags[i], p_pending[i], p_timeout[i], p_debit[i], p_credit[i], p_amount[i],
                documents[i], p_effective[i], p_corrects[i], p_ledger[i], codes[i],
                flags[j], p_pending[j], p_timeout[j], account[d[j]], account[c[j]], answers[j],
                coalesce(documents[j], documents[k]), p_effective[j], p_corrects[j],
                account_ledger[d[j]], codes[coalesce(k, j)], answers[k], documents[k]);
            RETURN;
        ELSIF -answers[j] IN (21, 22, 25, 54, 55, 65, 66) THEN
            fault := 68;
            RETURN;
        END IF;
        j := previous[j];
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_seen(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS int[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_booked boolean;
    failed uuid[];
    seen int[];
    places int[];
BEGIN
    SELECT EXISTS (SELECT FROM ledger_transfer t WHERE t.id = ANY (p_id)),
           (SELECT array_agg(f.id) FROM ledger_failedtransfer f WHERE f.id = ANY (p_id))
      INTO is_booked, failed;
    IF is_booked THEN
        seen := ledger_known(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags,
                             p_pending, p_timeout, p_document, p_effective, p_corrects);
    END IF;
    IF failed IS NOT NULL THEN
        places := ledger_positions(p_id, failed);
        FOR i IN 1..cardinality(p_id) LOOP
            seen[i] := coalesce(seen[i], CASE WHEN places[i] IS NOT NULL THEN 68 END);
        END LOOP;
    END IF;
    RETURN seen;
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_targets(p_id uuid[], p_pending uuid[], p_stored uuid[])
RETURNS int[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    stored CONSTANT int[] := ledger_positions(p_pending, p_stored);
    targets int[] := stored;
    here int[];
BEGIN
    IF n > 1 AND (stored IS NULL OR array_position(stored, NULL) IS NOT NULL) THEN
        here := ledger_positions(p_pending, p_id);
    END IF;
    FOR i IN 1..n LOOP
        targets[i] := coalesce(n + stored[i], here[i]);
    END LOOP;
    RETURN targets;
END $$;
CREATE OR REPLACE FUNCTION ledger_batch_write(
    p_id uuid[], p_flags int[], p_timeout int[], p_effective date[], p_pending uuid[],
    p_corrects uuid[], codes int[], documents uuid[], a record, j record
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    zero CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    -- What a query looks into by place is unpacked once.
    account CONSTANT uuid[] := a.id; account_ledger CONSTANT int[] := a.ledger;
    merchant CONSTANT uuid[] := a.merchant; reseller CONSTANT uuid[] := a.reseller;
    b CONSTANT bigint[] := j.b; h CONSTANT bigint[] := j.h;
    v_start CONSTANT timestamptz := a.at - interval '1 microsecond';
BEGIN
    UPDATE ledger_account x
       SET debits_pending = b[u.pos][1], debits_posted = b[u.pos][2], credits_pending = b[u.pos][3],
           credits_posted = b[u.pos][4], flags = b[u.pos][5],
           last_booked_at = v_start + b[u.pos][6] * interval '1 microsecond'
      FROM unnest(account) WITH ORDINALITY AS u (id, pos)
     WHERE x.id = u.id AND b[u.pos][6] > 0;
    INSERT INTO ledger_transfer (
        id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
        flags, timeout_s, effective_on, pending_id, document_id, corrects_id, merchant_id,
        reseller_id, debit_debits_pending, debit_debits_posted, debit_credits_pending,
        debit_credits_posted, credit_debits_pending, credit_debits_posted,
        credit_credits_pending, credit_credits_posted)
    SELECT u.id, account[u.d], account[u.c], u.answer, nextval('ledger_timestamp'),
           v_start + u.pos * interval '1 microsecond', account_ledger[u.d], codes[u.source],
           coalesce(u.flags, 0), nullif(u.timeout, 0), u.effective, nullif(u.pending, zero),
           coalesce(documents[u.pos], documents[u.source]), u.corrects,
           coalesce(merchant[u.d], merchant[u.c]), coalesce(reseller[u.d], reseller[u.c]),
           h[u.pos][1], h[u.pos][2], h[u.pos][3], h[u.pos][4],
           h[u.pos][5], h[u.pos][6], h[u.pos][7], h[u.pos][8]
      FROM (SELECT r.*, CASE WHEN r.flags & 12 <> 0 THEN r.target ELSE r.pos END AS source
              FROM unnest(p_id, p_flags, p_timeout, p_effective, p_pending, p_corrects, j.d, j.c,
                          j.targets, j.answers) WITH ORDINALITY
                   AS r (id, flags, timeout, effective, pending, corrects, d, c, target, answer,
                         pos)
             WHERE r.pos <= cardinality(p_id) AND r.answer >= 0) u;
    IF a.has_transit THEN
        PERFORM ledger_check_transit(account);
    END IF;
    IF 0 < ANY (p_timeout) THEN
        INSERT INTO ledger_pendingtimeout (transfer_id, expires_at)
        SELECT u.id, v_start + u.pos * interval '1 microsecond'
                   + make_interval(secs => u.timeout)
          FROM unnest(p_id, p_timeout, j.answers) WITH ORDINALITY AS u (id, timeout, answer, pos)
         WHERE u.answer >= 0 AND u.timeout > 0;
    END IF;
END $$;
CREATE OR REPLACE FUNCTION ledger_open_answers(
    p_id uuid[], p_code int[], p_ledger int[], p_merchant uuid[], p_reseller uuid[], p_scope uuid[],
    p_flags int[], p_user_data uuid[], p_opened boolean
) RETURNS int[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT array_agg(CASE
            -- 302: those of ledger.flags.AccountFlags.
            WHEN (u.flags & ~302) <> 0 THEN 5
            WHEN u.id IS NULL OR u.id = '00000000-0000-0000-0000-000000000000' THEN 6
            WHEN u.id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 7
            WHEN a.id IS NULL THEN CASE
                WHEN (coalesce(u.flags, 0) & 6) = 6 THEN 8
                WHEN coalesce(u.ledger, 0) <= 0 THEN 13
                WHEN coalesce(u.code, 0) = 0 THEN 14
                ELSE 214 END
            WHEN (u.flags & ~32) <> (a.flags & ~32) THEN 15
            WHEN (u.merchant, u.reseller, u.scope, u.user_data)
                 IS DISTINCT FROM (a.merchant_id, a.reseller_id, a.scope_id, a.user_data) THEN 216
            WHEN u.ledger <> a.ledger THEN 19
            WHEN u.code <> a.code THEN 20
            WHEN p_opened AND a.xmin = pg_current_xact_id()::xid AND a.last_booked_at IS NULL THEN 0
            ELSE 21 END ORDER BY u.pos)
      FROM unnest(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags, p_user_data)
           WITH ORDINALITY AS u (id, code, ledger, merchant, reseller, scope, flags, user_data, pos)
      LEFT JOIN ledger_account a ON a.id = u.id);
END $$;
CREATE OR REPLACE FUNCTION ledger_open_own(
    p_merchant uuid[], p_reseller uuid[], p_scope uuid[], p_flags int[]
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_role CONSTANT text := current_setting('role', true);
    v_tenant CONSTANT uuid := nullif(current_setting('app.tenant', true), '')::uuid;
BEGIN
    -- A tenant opens accounts of its own book alone, with the flags of the chart.
    IF v_tenant IS NULL OR p_flags IS NOT NULL OR EXISTS (
        SELECT FROM unnest(p_scope, p_merchant, p_reseller) AS u (scope, merchant, reseller)
         WHERE (u.scope IS DISTINCT FROM v_tenant)
            OR (v_role = 'app_merchant' AND u.merchant <> v_tenant)
            OR (v_role = 'app_reseller' AND u.reseller <> v_tenant)
            -- Who sees it: the merchant's own reseller, and merchants of the reseller alone.
            OR EXISTS (SELECT FROM tenants_merchant m
                        WHERE m.id = CASE v_role WHEN 'app_merchant' THEN v_tenant
                                                 ELSE u.merchant END
                          AND m.reseller_id <> CASE v_role WHEN 'app_merchant' THEN u.reseller
                                                           ELSE v_tenant END)
    ) THEN
        RAISE EXCEPTION 'a tenant may open accounts of its own alone'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
CREATE OR REPLACE FUNCTION ledger_overflow_fault(
    flags int, moved bigint, d_debits_pending bigint, d_debits bigint, c_credits_pending bigint,
    c_credits bigint
) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    room CONSTANT bigint := 9223372036854775807 - moved;
BEGIN
    RETURN CASE
        WHEN flags & 2 <> 0 AND d_debits_pending > room THEN 47
        WHEN flags & 2 <> 0 AND c_credits_pending > room THEN 48
        WHEN d_debits > room THEN 49
        WHEN c_credits > room THEN 50
        WHEN d_debits_pending > room - d_debits THEN 51
        ELSE 52 END;
END $$;
CREATE OR REPLACE FUNCTION ledger_post_single(
    p_role text, p_tenant uuid, p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint,
    p_ledger int, p_code int, p_flags int, p_pending uuid, p_document uuid, p_effective date,
    p_corrects uuid
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_whole bigint; v_expires timestamptz; v_found int := 0; a record; d record; c record;
    v_sound boolean;
BEGIN
    IF p_flags >= 4 THEN
        -- A pending transfer never changes: it may be read before the locks, for what is left out.
        SELECT x.debit_account_id, x.credit_account_id, x.amount, coalesce(p_amount, x.amount),
               x.ledger, x.code, coalesce(p_document, x.document_id),
               x.booked_at + make_interval(secs => nullif(x.timeout_s, 0))
          INTO p_debit, p_credit, v_whole, p_amount, p_ledger, p_code, p_document, v_expires
          FROM ledger_transfer x
         WHERE x.id = p_pending AND x.flags & 194 = 2
           AND coalesce(p_amount, x.amount) <= x.amount
           AND (p_flags = 4 OR coalesce(p_amount, x.amount) = x.amount)
           AND coalesce(p_debit, x.debit_account_id) = x.debit_account_id
           AND coalesce(p_credit, x.credit_account_id) = x.credit_account_id
           AND coalesce(p_ledger, 0) IN (0, x.ledger) AND coalesce(p_code, 0) IN (0, x.code);
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    FOR a IN SELECT x.id, x.ledger, x.flags::bigint AS flags, x.merchant_id, x.reseller_id,
                    x.debits_pending, x.debits_posted, x.credits_pending, x.credits_posted,
                    x.last_booked_at
               FROM ledger_account x
              WHERE x.id IN (p_debit, p_credit)
                AND (p_tenant IS NULL OR x.scope_id = p_tenant
                     OR (p_role = 'app_reseller' AND x.reseller_id = p_tenant))
              ORDER BY x.id FOR NO KEY UPDATE LOOP
        v_found := v_found + 1;
        IF a.id = p_debit THEN d := a; ELSE c := a; END IF;
    END LOOP;
    IF v_found < 2 THEN
        RETURN NULL;
    ELSIF v_whole IS NULL THEN
        v_sound := (d.merchant_id = c.merchant_id) IS NOT false
            AND (d.reseller_id = c.reseller_id) IS NOT false
            AND ledger_covers(
                p_amount, d.flags, d.debits_pending, d.debits_posted, d.credits_posted, c.flags,
                c.credits_pending, c.credits_posted, c.debits_posted);
    ELSE
        v_sound := p_amount > 0 AND (d.flags | c.flags) & 32 = 0;
    END IF;
    IF v_sound AND d.ledger = p_ledger AND c.ledger = p_ledger AND p_code > 0
        AND p_id NOT IN ('00000000-0000-0000-0000-000000000000',
                         'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND ledger_write_single(p_id, p_debit, p_credit, p_amount, v_whole, p_ledger, p_code,
                                p_flags, p_pending, v_expires, p_document, p_effective,
                                p_corrects, d, c)
    THEN
        RETURN p_amount;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION ledger_release(p_ids uuid[], p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT p.*, s.account_id, s.debits, s.credits, s.reopens, row_number() OVER w AS place,
               sum(s.debits) OVER (PARTITION BY s.account_id ORDER BY p."timestamp") AS debits_so_far,
               sum(s.credits) OVER (PARTITION BY s.account_id ORDER BY p."timestamp")
                   AS credits_so_far
          FROM ledger_transfer p,
               LATERAL (VALUES
                   (p.debit_account_id, p.amount, 0::bigint, (p.flags & 64) <> 0),
                   (p.credit_account_id, 0::bigint, p.amount, (p.flags & 128) <> 0)
               ) s (account_id, debits, credits, reopens)
         WHERE p.id = ANY (p_ids)
        WINDOW w AS (ORDER BY p."timestamp", s.debits DESC)
    ), sums AS (
        SELECT account_id, sum(debits) AS debits, sum(credits) AS credits,
               bool_or(reopens) AS reopens
          FROM expired GROUP BY account_id
    ), sides AS MATERIALIZED (
        SELECT e.*, a.debits_pending AS dp, a.debits_posted AS d, a.credits_pending AS cp,
               a.credits_posted AS c, a.flags AS account_flags
          FROM expired e JOIN ledger_account a ON a.id = e.account_id
    ), booked AS (
        INSERT INTO ledger_transfer (
            id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger,
            code, flags, pending_id, document_id, merchant_id, reseller_id,
            debit_debits_pending, debit_debits_posted, debit_credits_pending,
            debit_credits_posted, credit_debits_pending, credit_debits_posted,
            credit_credits_pending, credit_credits_posted)
        SELECT md5('expiry of ' || l.id)::uuid, l.debit_account_id, l.credit_account_id,
               l.amount, nextval('ledger_timestamp'),
               p_at + l.place * interval '1 microsecond',
               l.ledger, l.code, 512, l.id, l.document_id, l.merchant_id, l.reseller_id,
               l.h * (l.dp - l.debits_so_far), l.h * l.d, l.h * (l.cp - l.credits_so_far),
               l.h * l.c, r.h * (r.dp - r.debits_so_far), r.h * r.d,
               r.h * (r.cp - r.credits_so_far), r.h * r.c
          FROM (SELECT *, CASE WHEN (account_flags & 8) <> 0 THEN 1 END AS h
                  FROM sides WHERE account_id = debit_account_id) l
          JOIN (SELECT *, CASE WHEN (account_flags & 8) <> 0 THEN 1 END AS h
                  FROM sides WHERE account_id = credit_account_id) r ON r.id = l.id
         ORDER BY l.place
    )
    UPDATE ledger_account a
       SET debits_pending = a.debits_pending - s.debits,
           credits_pending = a.credits_pending - s.credits,
           flags = CASE WHEN s.reopens THEN a.flags & ~32 ELSE a.flags END,
           last_booked_at = p_at + (2 * cardinality(p_ids)) * interval '1 microsecond'
      FROM sums s WHERE a.id = s.account_id;
END $$;
CREATE OR REPLACE FUNCTION ledger_write_single(
    p_id uuid, debit uuid, credit uuid, moved bigint, whole bigint, p_ledger int, p_code int,
    p_flags int, pending uuid, expires timestamptz, document uuid, effective date, corrects uuid,
    d record, c record
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    h1 bigint; h2 bigint; h3 bigint; h4 bigint; h5 bigint; h6 bigint; h7 bigint; h8 bigint;
    v_at CONSTANT timestamptz := greatest(
        clock_timestamp(),
        greatest(d.last_booked_at, c.last_booked_at) + interval '1 microsecond');
BEGIN
    IF p_flags = 2 THEN
        d.debits_pending := d.debits_pending + moved;
        c.credits_pending := c.credits_pending + moved;
    ELSE
        IF whole IS NOT NULL THEN
            d.debits_pending := d.debits_pending - whole;
            c.credits_pending := c.credits_pending - whole;
        END IF;
        IF p_flags <> 8 THEN
            d.debits_posted := d.debits_posted + moved;
            c.credits_posted := c.credits_posted + moved;
        END IF;
    END IF;
    -- Balances are kept where the account says so.
    IF d.flags & 8 <> 0 THEN
        h1 := d.debits_pending; h2 := d.debits_posted;
        h3 := d.credits_pending; h4 := d.credits_posted;
    END IF;
    IF c.flags & 8 <> 0 THEN
        h5 := c.debits_pending; h6 := c.debits_posted;
        h7 := c.credits_pending; h8 := c.credits_posted;
    END IF;
    -- A statement of its own after the locks: it sees what was committed while we waited for them,
    -- such as that this id has failed, or that the reservation is over.
    INSERT INTO ledger_transfer (
        id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
        flags, pending_id, effective_on, document_id, corrects_id, merchant_id, reseller_id,
        debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted,
        credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted)
    SELECT p_id, debit, credit, moved, nextval('ledger_timestamp'), v_at, p_ledger, p_code, p_flags,
           pending, effective, document, corrects, coalesce(d.merchant_id, c.merchant_id),
           coalesce(d.reseller_id, c.reseller_id), h1, h2, h3, h4, h5, h6, h7, h8
     WHERE (expires IS NULL OR expires > v_at)
       AND NOT EXISTS (SELECT FROM ledger_failedtransfer f WHERE f.id = p_id)
        -- The id, or another settlement of the same pending transfer.
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE ledger_account x
       SET debits_pending = CASE x.id WHEN debit THEN d.debits_pending ELSE c.debits_pending END,
           debits_posted = CASE x.id WHEN debit THEN d.debits_posted ELSE c.debits_posted END,
           credits_pending = CASE x.id WHEN debit THEN d.credits_pending ELSE c.credits_pending END,
           credits_posted = CASE x.id WHEN debit THEN d.credits_posted ELSE c.credits_posted END,
           last_booked_at = v_at
     WHERE x.id IN (debit, credit);
    IF (d.flags | c.flags) & 256 <> 0 THEN
        PERFORM ledger_check_transit(ARRAY[debit, credit]);
    END IF;
    RETURN true;
END $$;
CREATE OR REPLACE FUNCTION ledger_balance_fault(
    flags int, moved bigint, d_flags bigint, d_debits_pending bigint,
    d_debits bigint, d_credits bigint, c_flags bigint, c_credits_pending bigint, c_credits bigint,
    c_debits bigint
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN d_flags & 32 <> 0 THEN 65
        WHEN c_flags & 32 <> 0 THEN 66
        -- There is nothing to move, and a transfer must move something.
        WHEN moved = 0 AND flags & 192 = 0 THEN
            CASE WHEN flags & 16 <> 0 AND d_credits - d_debits - d_debits_pending <= 0 THEN 54
                 ELSE 55 END
        WHEN moved > 9223372036854775807 - d_debits - d_debits_pending
             OR moved > 9223372036854775807 - c_credits - c_credits_pending
        THEN ledger_overflow_fault(flags, moved, d_debits_pending, d_debits, c_credits_pending,
                                   c_credits)
        WHEN d_flags & 2 <> 0 AND d_debits_pending + d_debits + moved > d_credits THEN 54
        WHEN c_flags & 4 <> 0 AND c_credits_pending + c_credits + moved > c_debits THEN 55 END
$$;
CREATE OR REPLACE FUNCTION ledger_covers(
    moved bigint, d_flags bigint, d_debits_pending bigint, d_debits bigint, d_credits bigint,
    c_flags bigint, c_credits_pending bigint, c_credits bigint, c_debits bigint
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT moved > 0 AND (d_flags | c_flags) & 32 = 0
        AND d_debits_pending + d_debits
            <= CASE d_flags & 2 WHEN 0 THEN 9223372036854775807 ELSE d_credits END - moved
        AND c_credits_pending + c_credits
            <= CASE c_flags & 4 WHEN 0 THEN 9223372036854775807 ELSE c_debits END - moved
$$;
CREATE OR REPLACE FUNCTION ledger_id_fault(flags int, id uuid) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN flags & -256 <> 0 THEN 4
        WHEN id IS NULL OR id = '00000000-0000-0000-0000-000000000000' THEN 5
        WHEN id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 6 END
$$;
CREATE OR REPLACE FUNCTION ledger_moved_minor(
    flags int, amount bigint, d_debits_pending bigint, d_debits bigint, d_credits bigint,
    c_credits_pending bigint, c_credits bigint, c_debits bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(
        coalesce(amount, 9223372036854775807),
        CASE WHEN flags & 16 <> 0 THEN greatest(d_credits - d_debits - d_debits_pending, 0) END,
        CASE WHEN flags & 32 <> 0 THEN greatest(c_debits - c_credits - c_credits_pending, 0) END)
$$;
CREATE OR REPLACE FUNCTION ledger_opens(id uuid, ledger int, flags int) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    -- 302: those of ledger.flags.AccountFlags; 6: both limits, of which an account has one at most.
    SELECT ledger > 0 AND (coalesce(flags, 0) & 6) <> 6 AND (coalesce(flags, 0) & ~302) = 0
       AND id NOT IN ('00000000-0000-0000-0000-000000000000',
                      'ffffffff-ffff-ffff-ffff-ffffffffffff')
$$;
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
CREATE OR REPLACE FUNCTION ledger_settled_minor(flags int, amount bigint, whole bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount IS NULL OR (amount = 0 AND flags & 8 <> 0) THEN whole ELSE amount END
$$;
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
CREATE OR REPLACE FUNCTION ledger_transfer_fault(
    flags int, debit uuid, credit uuid, amount bigint, ledger int, code int, pending uuid,
    timeout int, d_ledger int, c_ledger int, d_merchant uuid, c_merchant uuid, d_reseller uuid,
    c_reseller uuid
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN debit IS NULL OR debit = '00000000-0000-0000-0000-000000000000' THEN 8
        WHEN debit = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 9
        WHEN credit IS NULL OR credit = '00000000-0000-0000-0000-000000000000' THEN 10
        WHEN credit = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 11
        WHEN debit = credit THEN 12
        WHEN pending <> '00000000-0000-0000-0000-000000000000' THEN 13
        WHEN flags & 2 = 0 AND timeout <> 0 THEN 17
        WHEN flags & 2 = 0 AND flags & 192 <> 0 THEN 64
        WHEN amount IS NULL AND flags & 48 = 0 THEN 18
        WHEN amount = 0 AND flags & 192 = 0 THEN 18
        WHEN amount < 0 THEN 218
        WHEN ledger IS NULL OR ledger = 0 THEN 19
        WHEN code IS NULL OR code = 0 THEN 20
        WHEN d_ledger IS NULL THEN 21
        WHEN c_ledger IS NULL THEN 22
        WHEN d_ledger <> c_ledger THEN 23
        WHEN d_ledger <> ledger THEN 24
        WHEN d_merchant <> c_merchant THEN 224
        WHEN d_reseller <> c_reseller THEN 225 END
$$;
CREATE OR REPLACE FUNCTION ledger_expire(p_limit int DEFAULT 1000, OUT due int, OUT released int) RETURNS record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_due uuid[];
    v_accounts uuid[];
    v_at timestamptz;
    v_open uuid[];
BEGIN
    -- Rows that another sweeper holds are its business.
    SELECT array_agg(x.transfer_id) INTO v_due FROM (
        SELECT transfer_id FROM ledger_pendingtimeout WHERE expires_at <= clock_timestamp()
         ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED) x;
    due := coalesce(cardinality(v_due), 0);
    released := 0;
    IF due = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT s.id) INTO v_accounts
      FROM ledger_transfer t, LATERAL (VALUES (t.debit_account_id), (t.credit_account_id)) s (id)
     WHERE t.id = ANY (v_due);
    -- One time for all of it, after whatever the accounts have seen: the journal's rows and the
    -- accounts' must agree, and a clock read row by row runs on between them.
    SELECT greatest(max(a.last_booked_at), clock_timestamp()) INTO v_at FROM (
        SELECT last_booked_at FROM ledger_account WHERE id = ANY (v_accounts)
         ORDER BY id FOR NO KEY UPDATE) a;
    -- With the locks held: which of them nobody has settled meanwhile.
    SELECT array_agg(d.id) INTO v_open FROM unnest(v_due) AS d (id)
     WHERE NOT EXISTS (SELECT FROM ledger_transfer r WHERE r.pending_id = d.id);
    IF v_open IS NOT NULL THEN
        PERFORM ledger_release(v_open, v_at);
    END IF;
    DELETE FROM ledger_pendingtimeout WHERE transfer_id = ANY (v_due);
    released := coalesce(cardinality(v_open), 0);
END $$;
CREATE OR REPLACE FUNCTION ledger_first_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE sql STABLE
SET enable_nestloop = off SET enable_mergejoin = off SET enable_hashjoin = on
AS $$
    SELECT array_agg(k.pos ORDER BY i.pos)
    FROM unnest(ids) WITH ORDINALITY AS i (id, pos)
    LEFT JOIN (SELECT u.id, min(u.pos)::int AS pos
                 FROM unnest(keys) WITH ORDINALITY AS u (id, pos) GROUP BY u.id) k ON k.id = i.id
$$;
CREATE OR REPLACE FUNCTION ledger_open(
    p_id uuid[], p_name text[], p_code int[], p_ledger int[], p_currency text[], p_livemode boolean[],
    p_merchant uuid[], p_reseller uuid[], p_scope uuid[], p_flags int[] DEFAULT NULL,
    p_user_data uuid[] DEFAULT NULL
) RETURNS int[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_known int;
BEGIN
    SELECT count(*) INTO v_known FROM ledger_account
     WHERE id = ANY (p_id);
    IF current_setting('role', true) IN ('app_merchant', 'app_reseller') THEN
        PERFORM ledger_open_own(p_merchant, p_reseller, p_scope, p_flags);
    END IF;
    IF v_known < cardinality(p_id) THEN
        INSERT INTO ledger_account (
            id, name, code, ledger, currency, livemode, merchant_id, reseller_id, scope_id, flags,
            user_data, opened_at, debits_pending, debits_posted, credits_pending, credits_posted)
        SELECT u.id, u.name, u.code, u.ledger, u.currency, u.livemode, u.merchant, u.reseller,
               u.scope, coalesce(u.flags, ch.flags), u.user_data, clock_timestamp(), 0, 0, 0, 0
          FROM (SELECT DISTINCT ON (u.id) u.*
                  FROM unnest(p_id, p_name, p_code, p_ledger, p_currency, p_livemode, p_merchant,
                              p_reseller, p_scope, p_flags, p_user_data)
                       AS u (id, name, code, ledger, currency, livemode, merchant, reseller, scope,
                             flags, user_data)
                 ORDER BY u.id) u
          JOIN ledger_accountcode ch ON ch.code = u.code
         WHERE ledger_opens(u.id, u.ledger, u.flags)
         ORDER BY u.id
            -- The id or the name: of two who open the same account at once, either index may be the
            -- one in which they meet.
            ON CONFLICT DO NOTHING;
        IF EXISTS (SELECT FROM unnest(p_id, p_name, p_code, p_ledger, p_flags)
                                 AS u (id, name, code, ledger, flags)
                     JOIN ledger_account a ON a.name = u.name AND a.id <> u.id
                     JOIN ledger_accountcode ch ON ch.code = u.code
                    WHERE ledger_opens(u.id, u.ledger, u.flags)
                      AND NOT EXISTS (SELECT FROM ledger_account b WHERE b.id = u.id)) THEN
            RAISE EXCEPTION 'an account of that name has another id' USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    RETURN ledger_open_answers(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags,
                               p_user_data, v_known < cardinality(p_id));
END $$;
CREATE OR REPLACE FUNCTION ledger_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    places int[];
BEGIN
    IF keys IS NULL OR cardinality(ids) > 16 THEN
        RETURN CASE WHEN keys IS NOT NULL THEN ledger_first_positions(ids, keys) END;
    END IF;
    -- Of a few, looking through the array is quicker than a query that joins.
    FOR i IN 1..cardinality(ids) LOOP
        places[i] := array_position(keys, ids[i]);
    END LOOP;
    RETURN places;
END $$;
CREATE OR REPLACE FUNCTION ledger_post(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[] DEFAULT NULL, p_pending uuid[] DEFAULT NULL, p_timeout int[] DEFAULT NULL,
    p_document uuid[] DEFAULT NULL, p_effective date[] DEFAULT NULL, p_corrects uuid[] DEFAULT NULL,
    p_role text DEFAULT NULL, p_tenant uuid DEFAULT NULL
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    role text := current_setting('role', true);
    tenant uuid;
    flags int := coalesce(p_flags[1], 0);
    moved bigint;
BEGIN
    IF role = 'none' THEN
        -- The login role itself, outside any scope: it names the one it would have opened.
        IF coalesce(p_role, '') NOT IN ('app_merchant', 'app_reseller', 'app_staff', 'app_worker')
        THEN
            RAISE EXCEPTION 'ledger_post() needs a scope' USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- Only one that the process could have opened: a web process posts as no worker. Before 16
        -- there is one login role, which opens all of them, and membership knows no SET.
        IF NOT pg_has_role(session_user, p_role, CASE
                WHEN current_setting('server_version_num') >= '160000' THEN 'SET'
                ELSE 'MEMBER' END) THEN
            RAISE EXCEPTION '% does not post as %', session_user, p_role
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        role := p_role;
        tenant := p_tenant;
    ELSIF role IN ('app_merchant', 'app_reseller') THEN
        tenant := nullif(current_setting('app.tenant', true), '')::uuid;
    END IF;
    IF role IN ('app_merchant', 'app_reseller') THEN
        tenant := coalesce(tenant, '00000000-0000-0000-0000-000000000000');
        -- A transfer is corrected once. A tenant that took that place could name any transfer there.
        IF p_corrects IS NOT NULL AND cardinality(array_remove(p_corrects, NULL)) > 0 THEN
            RAISE EXCEPTION 'corrections are booked by staff alone'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    ELSE
        tenant := NULL;
    END IF;
    IF cardinality(p_id) = 1 AND p_timeout IS NULL
       AND (CASE WHEN p_pending IS NULL THEN flags IN (0, 2) ELSE flags IN (4, 8) END)
    THEN
        moved := ledger_post_single(
            role, tenant, p_id[1], p_debit[1], p_credit[1], p_amount[1], p_ledger[1],
            p_code[1], flags, p_pending[1], p_document[1], p_effective[1], p_corrects[1]);
        IF moved IS NOT NULL THEN
            RETURN ARRAY[moved];
        END IF;
    END IF;
    RETURN ledger_post_batch(role, tenant, p_id, p_debit, p_credit, p_amount, p_ledger, p_code,
                             p_flags, p_pending, p_timeout, p_document, p_effective, p_corrects);
END $$;
CREATE OR REPLACE FUNCTION ledger_post_batch(
    v_role text, v_tenant uuid,
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    s record; a record; j record; k int; wanted uuid[] := p_debit || p_credit;
    seen int[]; previous int[]; targets int[]; d int[]; c int[]; expires timestamptz[];
    flags int[] := array_replace(coalesce(p_flags, array_fill(0, ARRAY[n])), NULL, 0);
    codes int[] := p_code; documents uuid[] := p_document;
    answers bigint[] := array_fill(-1::bigint, ARRAY[n]);
    state int[] := array_fill(0, ARRAY[n]);
BEGIN
    IF n = 0 THEN
        RETURN '{}'::bigint[];
    ELSIF n > 8190 THEN
        RAISE EXCEPTION 'a batch holds at most 8190 transfers, not %', n
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF p_pending IS NOT NULL THEN
        s := ledger_batch_pendings(p_pending);
        wanted := wanted || s.debit || s.credit; expires := s.expires;
        targets := ledger_batch_targets(p_id, p_pending, s.id);
    END IF;
    a := ledger_batch_accounts(v_role, v_tenant, wanted);
    seen := ledger_batch_seen(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags,
                              p_pending, p_timeout, p_document, p_effective, p_corrects);
    previous := ledger_batch_previous(p_id);
    d := ledger_positions(p_debit, a.id);
    c := ledger_positions(p_credit, a.id);
    IF expires IS NOT NULL THEN
        -- What is stored takes the places after the batch, as if it had been booked by it.
        k := n + cardinality(s.id);
        d[n + 1:k] := ledger_positions(s.debit, a.id); c[n + 1:k] := ledger_positions(s.credit, a.id);
        flags[n + 1:k] := s.flags; codes[n + 1:k] := s.code; documents[n + 1:k] := s.document;
        answers[n + 1:k] := s.amount; state[n + 1:k] := ledger_batch_ended(s.id);
    END IF;
    j := ledger_batch_judge(
        p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_pending, p_timeout, p_effective,
        p_corrects, seen, previous, flags, codes, documents,
        ledger_batch_faults(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_pending,
                            p_timeout, flags, d, c, seen, a.ledger, a.merchant, a.reseller),
        a.at, a.id, a.ledger, expires, state, d, c, targets, answers, a.balances,
        CASE WHEN a.has_history THEN array_fill(NULL::bigint, ARRAY[n, 8]) END);
    answers := j.answers[1:n];
    IF 0 <= ANY (answers) THEN
        PERFORM ledger_batch_write(p_id, p_flags, p_timeout, p_effective, p_pending, p_corrects,
                                   codes, documents, a, j);
    END IF;
    IF 0 > ANY (answers) THEN
        INSERT INTO ledger_failedtransfer (id, status, failed_at)
        SELECT u.id, -u.answer, clock_timestamp() FROM unnest(p_id, answers) AS u (id, answer)
         WHERE -u.answer IN (21, 22, 25, 54, 55, 65, 66)
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN answers;
END $$;
ALTER FUNCTION ledger_balance_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_balance_fault FROM PUBLIC;
ALTER FUNCTION ledger_batch_accounts OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_accounts FROM PUBLIC;
ALTER FUNCTION ledger_batch_ended OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_ended FROM PUBLIC;
ALTER FUNCTION ledger_batch_faults OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_faults FROM PUBLIC;
ALTER FUNCTION ledger_batch_judge OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_judge FROM PUBLIC;
ALTER FUNCTION ledger_batch_pendings OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_pendings FROM PUBLIC;
ALTER FUNCTION ledger_batch_previous OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_previous FROM PUBLIC;
ALTER FUNCTION ledger_batch_repeat OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_repeat FROM PUBLIC;
ALTER FUNCTION ledger_batch_seen OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_seen FROM PUBLIC;
ALTER FUNCTION ledger_batch_targets OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_targets FROM PUBLIC;
ALTER FUNCTION ledger_batch_write OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_batch_write FROM PUBLIC;
ALTER FUNCTION ledger_covers OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_covers FROM PUBLIC;
ALTER FUNCTION ledger_id_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_id_fault FROM PUBLIC;
ALTER FUNCTION ledger_moved_minor OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_moved_minor FROM PUBLIC;
ALTER FUNCTION ledger_open_answers OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_open_answers FROM PUBLIC;
ALTER FUNCTION ledger_open_own OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_open_own FROM PUBLIC;
ALTER FUNCTION ledger_opens OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_opens FROM PUBLIC;
ALTER FUNCTION ledger_overflow_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_overflow_fault FROM PUBLIC;
ALTER FUNCTION ledger_post_single OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_post_single FROM PUBLIC;
ALTER FUNCTION ledger_release OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_release FROM PUBLIC;
ALTER FUNCTION ledger_settled_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_settled_fault FROM PUBLIC;
ALTER FUNCTION ledger_settled_minor OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_settled_minor FROM PUBLIC;
ALTER FUNCTION ledger_settlement_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_settlement_fault FROM PUBLIC;
ALTER FUNCTION ledger_transfer_fault OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_transfer_fault FROM PUBLIC;
ALTER FUNCTION ledger_write_single OWNER TO app_definer;
REVOKE ALL ON FUNCTION ledger_write_single FROM PUBLIC;
