-- The way back: the functions as they were before this migration.
create or replace function ledger_open(
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
    v_role CONSTANT text := current_setting('role', true);
    v_tenant uuid;
    v_known int;
    v_result int[];
BEGIN
    SELECT count(*) INTO v_known FROM ledger_account
     WHERE id = ANY (p_id);
    IF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := nullif(current_setting('app.tenant', true), '')::uuid;
        -- A tenant opens accounts of its own book alone, with the flags of the chart.
        IF v_tenant IS NULL OR p_flags IS NOT NULL OR EXISTS (
            SELECT FROM unnest(p_scope, p_merchant, p_reseller) AS u (scope, merchant, reseller)
             WHERE (u.scope IS DISTINCT FROM v_tenant)
                OR (v_role = 'app_merchant' AND u.merchant <> v_tenant)
                OR (v_role = 'app_reseller' AND u.reseller <> v_tenant)
        ) THEN
            RAISE EXCEPTION 'a tenant may open accounts of its own alone'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
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
         WHERE u.ledger > 0 AND (coalesce(u.flags, 0) & 6) <> 6
           AND (coalesce(u.flags, 0) & ~302) = 0
           AND u.id NOT IN ('00000000-0000-0000-0000-000000000000',
                            'ffffffff-ffff-ffff-ffff-ffffffffffff')
         ORDER BY u.id
            -- The id or the name: of two who open the same account at once, either index may be the
            -- one in which they meet.
            ON CONFLICT DO NOTHING;
        IF EXISTS (SELECT FROM unnest(p_id, p_name, p_code, p_ledger, p_flags)
                                 AS u (id, name, code, ledger, flags)
                     JOIN ledger_account a ON a.name = u.name AND a.id <> u.id
                     JOIN ledger_accountcode ch ON ch.code = u.code
                    WHERE u.ledger > 0 AND (coalesce(u.flags, 0) & 6) <> 6
                      AND (coalesce(u.flags, 0) & ~302) = 0
                      AND u.id NOT IN ('00000000-0000-0000-0000-000000000000',
                                       'ffffffff-ffff-ffff-ffff-ffffffffffff')
                      AND NOT EXISTS (SELECT FROM ledger_account b WHERE b.id = u.id)) THEN
            RAISE EXCEPTION 'an account of that name has another id' USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    SELECT array_agg(CASE
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
            WHEN a.xmin = pg_current_xact_id()::xid AND a.last_booked_at IS NULL
                 AND v_known < cardinality(p_id) THEN 0
            ELSE 21 END ORDER BY u.pos)
      INTO v_result
      FROM unnest(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags, p_user_data)
           WITH ORDINALITY AS u (id, code, ledger, merchant, reseller, scope, flags, user_data, pos)
      LEFT JOIN ledger_account a ON a.id = u.id;
    RETURN v_result;
END $$;
create or replace function ledger_known(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS int[]
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    SELECT array_agg(x.status ORDER BY x.pos) FROM (
        SELECT u.pos, CASE WHEN e.id IS NOT NULL THEN ledger_compare(
            coalesce(u.flags, 0), u.pending, u.timeout, u.debit, u.credit, u.amount,
            u.document, u.effective, u.corrects, u.ledger, u.code,
            e.flags, e.pending_id, e.timeout_s, e.debit_account_id, e.credit_account_id,
            e.amount, e.document_id, e.effective_on, e.corrects_id, e.ledger, e.code,
            p.amount, p.document_id) END AS status
        FROM unnest(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags, p_pending,
                    p_timeout, p_document, p_effective, p_corrects) WITH ORDINALITY
             AS u (id, debit, credit, amount, ledger, code, flags, pending, timeout, document,
                   effective, corrects, pos)
        LEFT JOIN ledger_transfer e ON e.id = u.id
        LEFT JOIN ledger_transfer p ON p.id = e.pending_id) x
$$;

create or replace function ledger_post(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[] DEFAULT NULL, p_pending uuid[] DEFAULT NULL, p_timeout int[] DEFAULT NULL,
    p_document uuid[] DEFAULT NULL, p_effective date[] DEFAULT NULL, p_corrects uuid[] DEFAULT NULL,
    p_role text DEFAULT NULL, p_tenant uuid DEFAULT NULL
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_variable
DECLARE
    huge CONSTANT bigint := 1000000000000000000;
    v_role text := current_setting('role', true);
    v_tenant uuid;
    v_id uuid; v_debit uuid; v_credit uuid; v_amount bigint; v_whole bigint; v_pending uuid;
    v_ledger int; v_code int; v_flags int; v_document uuid; v_at timestamptz;
    v_pending_flags int; v_inherited uuid; v_expires timestamptz;
    h1 bigint; h2 bigint; h3 bigint; h4 bigint; h5 bigint; h6 bigint; h7 bigint; h8 bigint;
    a record; d record; c record;
    v_found int := 0;
    v_sound boolean;
BEGIN
    IF v_role = 'none' THEN
        -- The login role itself, outside any scope: it names the one it would have opened.
        IF coalesce(p_role, '') NOT IN ('app_merchant', 'app_reseller', 'app_staff', 'app_worker')
        THEN
            RAISE EXCEPTION 'ledger_post() needs a scope' USING ERRCODE = 'insufficient_privilege';
        END IF;
        v_role := p_role;
        v_tenant := p_tenant;
    ELSIF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := nullif(current_setting('app.tenant', true), '')::uuid;
    END IF;
    IF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := coalesce(v_tenant, '00000000-0000-0000-0000-000000000000');
    ELSE
        v_tenant := NULL;
    END IF;
    v_flags := coalesce(p_flags[1], 0);
    IF cardinality(p_id) = 1 AND p_timeout IS NULL AND v_flags IN (0, 2, 4, 8)
       AND (p_pending IS NULL) = (v_flags < 4)
    THEN
        v_id := p_id[1]; v_amount := p_amount[1]; v_document := p_document[1];
        v_sound := true;
        IF v_flags < 4 THEN
            v_debit := p_debit[1]; v_credit := p_credit[1];
            v_ledger := p_ledger[1]; v_code := p_code[1];
        ELSE
            v_pending := p_pending[1];
        END IF;
        IF v_pending IS NOT NULL THEN
            -- A pending transfer never changes: it may be read before the locks.
            SELECT t.debit_account_id, t.credit_account_id, t.amount, t.ledger, t.code, t.flags,
                   t.document_id, t.booked_at + make_interval(secs => nullif(t.timeout_s, 0))
              INTO v_debit, v_credit, v_whole, v_ledger, v_code, v_pending_flags, v_inherited,
                   v_expires
              FROM ledger_transfer t WHERE t.id = v_pending;
            IF v_document IS NULL THEN v_document := v_inherited; END IF;
            IF v_amount IS NULL THEN v_amount := v_whole; END IF;
            v_sound := v_pending_flags & 194 = 2 AND v_amount <= v_whole
                AND (v_flags = 4 OR v_amount = v_whole)
                AND (p_debit[1] IS NULL OR p_debit[1] = v_debit)
                AND (p_credit[1] IS NULL OR p_credit[1] = v_credit)
                AND coalesce(p_ledger[1], 0) IN (0, v_ledger)
                AND coalesce(p_code[1], 0) IN (0, v_code);
        END IF;
        IF v_sound THEN
            FOR a IN SELECT id, ledger, flags, merchant_id, reseller_id, debits_pending,
                            debits_posted, credits_pending, credits_posted, last_booked_at
                       FROM ledger_account
                      WHERE id IN (v_debit, v_credit)
                        AND (v_tenant IS NULL OR scope_id = v_tenant
                             OR (v_role = 'app_reseller' AND reseller_id = v_tenant))
                      ORDER BY id FOR NO KEY UPDATE LOOP
                v_found := v_found + 1;
                IF a.id = v_debit THEN d := a; ELSE c := a; END IF;
            END LOOP;
        END IF;
        IF v_found = 2 THEN
            v_sound := v_sound AND d.ledger = v_ledger AND c.ledger = v_ledger
                AND v_amount > 0 AND v_amount < huge AND v_code > 0
                AND ((d.flags | c.flags) & 32) = 0
                AND v_id > '00000000-0000-0000-0000-000000000000'
                AND v_id < 'ffffffff-ffff-ffff-ffff-ffffffffffff';
            IF v_flags < 4 THEN
                v_sound := v_sound
                    AND (d.merchant_id IS NULL OR c.merchant_id IS NULL
                         OR d.merchant_id = c.merchant_id)
                    AND (d.reseller_id IS NULL OR c.reseller_id IS NULL
                         OR d.reseller_id = c.reseller_id)
                    AND d.debits_pending + d.debits_posted < huge
                    AND c.credits_pending + c.credits_posted < huge
                    AND (d.flags & 2 = 0
                         OR d.debits_pending + d.debits_posted + v_amount <= d.credits_posted)
                    AND (c.flags & 4 = 0
                         OR c.credits_pending + c.credits_posted + v_amount <= c.debits_posted);
            END IF;
            IF v_sound THEN
                IF v_flags = 2 THEN
                    d.debits_pending := d.debits_pending + v_amount;
                    c.credits_pending := c.credits_pending + v_amount;
                ELSE
                    IF v_flags <> 0 THEN
                        d.debits_pending := d.debits_pending - v_whole;
                        c.credits_pending := c.credits_pending - v_whole;
                    END IF;
                    IF v_flags <> 8 THEN
                        d.debits_posted := d.debits_posted + v_amount;
                        c.credits_posted := c.credits_posted + v_amount;
                    END IF;
                END IF;
                v_at := greatest(clock_timestamp(), d.last_booked_at + interval '1 microsecond',
                                 c.last_booked_at + interval '1 microsecond');
                IF (d.flags & 8) <> 0 THEN
                    h1 := d.debits_pending; h2 := d.debits_posted;
                    h3 := d.credits_pending; h4 := d.credits_posted;
                END IF;
                IF (c.flags & 8) <> 0 THEN
                    h5 := c.debits_pending; h6 := c.debits_posted;
                    h7 := c.credits_pending; h8 := c.credits_posted;
                END IF;
                -- A statement of its own after the locks: it sees what was committed while we waited
                -- for them, such as that this id has failed, or that the reservation is over.
                INSERT INTO ledger_transfer (
                    id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger,
                    code, flags, pending_id, effective_on, document_id, corrects_id, merchant_id,
                    reseller_id, debit_debits_pending, debit_debits_posted, debit_credits_pending,
                    debit_credits_posted, credit_debits_pending, credit_debits_posted,
                    credit_credits_pending, credit_credits_posted)
                SELECT v_id, v_debit, v_credit, v_amount, nextval('ledger_timestamp'), v_at,
                       v_ledger, v_code, v_flags, v_pending, p_effective[1], v_document,
                       p_corrects[1], coalesce(d.merchant_id, c.merchant_id),
                       coalesce(d.reseller_id, c.reseller_id), h1, h2, h3, h4, h5, h6, h7, h8
                 WHERE (v_expires IS NULL OR v_expires > v_at)
                   AND NOT EXISTS (SELECT FROM ledger_failedtransfer f WHERE f.id = v_id)
                    -- The id, or another settlement of the same pending transfer.
                    ON CONFLICT DO NOTHING;
                IF FOUND THEN
                    UPDATE ledger_account
                       SET debits_pending = CASE id WHEN v_debit THEN d.debits_pending
                                                    ELSE c.debits_pending END,
                           debits_posted = CASE id WHEN v_debit THEN d.debits_posted
                                                   ELSE c.debits_posted END,
                           credits_pending = CASE id WHEN v_debit THEN d.credits_pending
                                                     ELSE c.credits_pending END,
                           credits_posted = CASE id WHEN v_debit THEN d.credits_posted
                                                    ELSE c.credits_posted END,
                           last_booked_at = v_at
                     WHERE id IN (v_debit, v_credit);
                    IF ((d.flags | c.flags) & 256) <> 0 THEN
                        PERFORM ledger_check_transit(ARRAY[v_debit, v_credit]);
                    END IF;
                    RETURN ARRAY[v_amount];
                END IF;
            END IF;
        END IF;
    END IF;
    RETURN ledger_post_batch(v_role, v_tenant, p_id, p_debit, p_credit, p_amount, p_ledger, p_code,
                             p_flags, p_pending, p_timeout, p_document, p_effective, p_corrects);
END $$;
