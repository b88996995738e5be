-- As they were before, each in one piece.
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
             WHERE p.id = ANY (v_open)
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
                   v_at + l.place * interval '1 microsecond',
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
               last_booked_at = v_at + (2 * cardinality(v_open)) * interval '1 microsecond'
          FROM sums s WHERE a.id = s.account_id;
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
CREATE OR REPLACE FUNCTION ledger_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE sql STABLE
SET enable_nestloop = off SET enable_mergejoin = off SET enable_hashjoin = on
AS $$
    SELECT array_agg(k.pos::int ORDER BY i.pos)
    FROM unnest(ids) WITH ORDINALITY AS i (id, pos)
    LEFT JOIN unnest(keys) WITH ORDINALITY AS k (id, pos) ON k.id = i.id
$$;
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
        -- Only one that the process could have opened: a web process posts as no worker. Before 16
        -- there is one login role, which opens all of them, and membership knows no SET.
        IF NOT pg_has_role(session_user, p_role, CASE
                WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET'
                ELSE 'MEMBER' END) THEN
            RAISE EXCEPTION '% does not post as %', session_user, p_role
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        v_role := p_role;
        v_tenant := p_tenant;
    ELSIF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := nullif(current_setting('app.tenant', true), '')::uuid;
    END IF;
    IF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := coalesce(v_tenant, '00000000-0000-0000-0000-000000000000');
        -- A transfer is corrected once. A tenant that took that place could name any transfer there.
        IF p_corrects IS NOT NULL AND cardinality(array_remove(p_corrects, NULL)) > 0 THEN
            RAISE EXCEPTION 'corrections are booked by staff alone'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
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
#variable_conflict use_variable
DECLARE
    zero CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ones CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    top CONSTANT bigint := 9223372036854775807;
    -- Up to so many, looking through arrays is quicker than a query that joins them.
    few CONSTANT int := 16;
    n CONSTANT int := cardinality(p_id);
    v_at timestamptz;
    v_result bigint[] := array_fill(0::bigint, ARRAY[n]);
    v_settles CONSTANT boolean := p_pending IS NOT NULL;
    -- The accounts, by their place in id order.
    a_id uuid[]; a_ledger int[]; a_flags int[]; a_merchant uuid[]; a_reseller uuid[];
    a_dp bigint[]; a_d bigint[]; a_cp bigint[]; a_c bigint[]; a_at timestamptz[];
    a_last timestamptz;
    -- The pending transfers that are settled here, by place; state: 0 open, else how it ended.
    s_id uuid[]; s_debit uuid[]; s_credit uuid[]; s_amount bigint[]; s_ledger int[]; s_code int[];
    s_flags int[]; s_expires timestamptz[]; s_document uuid[]; s_state int[];
    s_d int[]; s_c int[]; s_pos int[]; s_row int[]; v_row_state int[];
    -- What is known of the ids: the answer for those booked before, those that failed before.
    k_status int[]; k_failed int[]; v_previous int[];
    k_id uuid[]; v_repeats boolean := false;
    f_id uuid[]; f_status int[];
    -- What will be written, by place in the batch.
    o_d int[]; o_c int[]; o_debit uuid[] := p_debit; o_credit uuid[] := p_credit;
    o_ledger int[] := p_ledger; o_code int[] := p_code; o_document uuid[] := p_document;
    o_merchant uuid[]; o_reseller uuid[]; o_history boolean := false; v_transit boolean;
    h1 bigint[]; h2 bigint[]; h3 bigint[]; h4 bigint[];
    h5 bigint[]; h6 bigint[]; h7 bigint[]; h8 bigint[];
    v_chain int := 0; v_broken boolean := false;
    v_flags int; v_status int; v_amount bigint; v_whole bigint; v_left bigint;
    d int; c int; i int; j int; k int; m int;
    v_dd bigint; v_cc bigint;
    p_d int; p_c int; v_pflags int; v_pledger int; v_pcode int; v_pstate int;
    v_pexpires timestamptz; v_pdocument uuid; v_same_batch boolean;
    v_booked int := 0; v_timeouts boolean := false;
BEGIN
    IF n = 0 THEN
        RETURN '{}'::bigint[];
    ELSIF n > 8190 THEN
        RAISE EXCEPTION 'a batch holds at most 8190 transfers, not %', n
            USING ERRCODE = 'program_limit_exceeded';
    END IF;

    -- 1. Pending transfers never change, so they may be read before the locks: they say which
    -- accounts to lock when the caller leaves them out.
    IF v_settles THEN
        SELECT array_agg(t.id), array_agg(t.debit_account_id), array_agg(t.credit_account_id),
               array_agg(t.amount), array_agg(t.ledger), array_agg(t.code), array_agg(t.flags),
               array_agg(t.booked_at + make_interval(secs => nullif(t.timeout_s, 0))),
               array_agg(t.document_id)
          INTO s_id, s_debit, s_credit, s_amount, s_ledger, s_code, s_flags, s_expires, s_document
          FROM ledger_transfer t WHERE t.id = ANY (p_pending);
    END IF;

    SELECT array_agg(a.id), array_agg(a.ledger), array_agg(a.flags), array_agg(a.merchant_id),
           array_agg(a.reseller_id), array_agg(a.debits_pending), array_agg(a.debits_posted),
           array_agg(a.credits_pending), array_agg(a.credits_posted), max(a.last_booked_at),
           bool_or((a.flags & 8) <> 0), bool_or((a.flags & 256) <> 0)
      INTO a_id, a_ledger, a_flags, a_merchant, a_reseller, a_dp, a_d, a_cp, a_c, a_last, o_history,
           v_transit
      FROM (SELECT * FROM ledger_account
             WHERE id = ANY (p_debit || p_credit || s_debit || s_credit)
               -- Another tenant's account is not found.
               AND (v_tenant IS NULL OR scope_id = v_tenant
                    OR (v_role = 'app_reseller' AND reseller_id = v_tenant))
             ORDER BY id FOR NO KEY UPDATE) a;

    -- 2. With the locks held, what has become of these ids and of the pending transfers.
    SELECT (SELECT array_agg(t.id) FROM ledger_transfer t WHERE t.id = ANY (p_id)),
           (SELECT array_agg(f.id) FROM ledger_failedtransfer f WHERE f.id = ANY (p_id))
      INTO k_id, f_id;
    IF k_id IS NOT NULL THEN
        k_status := ledger_known(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags,
                                 p_pending, p_timeout, p_document, p_effective, p_corrects);
    END IF;
    IF f_id IS NOT NULL THEN
        k_failed := ledger_positions(p_id, f_id);
        f_id := NULL;
    END IF;
    IF n > 1 THEN
        IF n <= few THEN
            FOR i IN 2..n LOOP
                v_repeats := v_repeats OR array_position(p_id, p_id[i]) < i;
            END LOOP;
        ELSE
            v_repeats := (SELECT count(DISTINCT u.id) FROM unnest(p_id) AS u (id)) < n;
        END IF;
        IF v_repeats THEN
            SELECT array_agg(x.previous ORDER BY x.pos) INTO v_previous FROM (
                SELECT u.pos, lag(u.pos) OVER (PARTITION BY u.id ORDER BY u.pos)::int AS previous
                FROM unnest(p_id) WITH ORDINALITY AS u (id, pos)) x;
        END IF;
    END IF;
    IF n <= few THEN
        FOR i IN 1..n LOOP
            o_d[i] := array_position(a_id, p_debit[i]);
            o_c[i] := array_position(a_id, p_credit[i]);
        END LOOP;
    ELSE
        o_d := ledger_positions(p_debit, a_id);
        o_c := ledger_positions(p_credit, a_id);
    END IF;
    IF v_settles THEN
        o_document := coalesce(p_document, array_fill(NULL::uuid, ARRAY[n]));
        IF s_id IS NOT NULL THEN
            IF n <= few THEN
                FOR i IN 1..n LOOP
                    s_pos[i] := array_position(s_id, p_pending[i]);
                END LOOP;
                FOR i IN 1..cardinality(s_id) LOOP
                    s_d[i] := array_position(a_id, s_debit[i]);
                    s_c[i] := array_position(a_id, s_credit[i]);
                END LOOP;
            ELSE
                s_pos := ledger_positions(p_pending, s_id);
                s_d := ledger_positions(s_debit, a_id);
                s_c := ledger_positions(s_credit, a_id);
            END IF;
            SELECT array_agg(coalesce(t.flags & 524, 0) ORDER BY u.pos) INTO s_state
              FROM unnest(s_id) WITH ORDINALITY AS u (id, pos)
              LEFT JOIN ledger_transfer t ON t.pending_id = u.id;
        END IF;
        IF n > 1 AND (s_pos IS NULL OR array_position(s_pos, NULL) IS NOT NULL) THEN
            -- A post or void may stand in the same batch as what it settles.
            IF n <= few THEN
                FOR i IN 1..n LOOP
                    s_row[i] := array_position(p_id, p_pending[i]);
                END LOOP;
            ELSE
                s_row := ledger_first_positions(p_pending, p_id);
            END IF;
            v_row_state := array_fill(0, ARRAY[n]);
        END IF;
    END IF;
    a_at := array_fill(NULL::timestamptz, ARRAY[coalesce(cardinality(a_id), 0)]);
    v_at := greatest(clock_timestamp(), a_last + interval '1 microsecond');
    IF o_history THEN
        h1 := array_fill(NULL::bigint, ARRAY[n]);
        h2 := h1; h3 := h1; h4 := h1; h5 := h1; h6 := h1; h7 := h1; h8 := h1;
    END IF;
    o_merchant := array_fill(NULL::uuid, ARRAY[n]);
    o_reseller := o_merchant;

    -- 3. One after the other, in memory.
    FOR i IN 1..n LOOP
        v_flags := coalesce(p_flags[i], 0);
        v_status := 0;
        IF (v_flags & 1) <> 0 AND v_chain = 0 THEN
            v_chain := i;
            v_broken := false;
        END IF;
        <<judge>>
        BEGIN
            IF (v_flags & 1) <> 0 AND i = n THEN v_status := 2; EXIT judge; END IF;
            IF v_chain > 0 AND v_broken THEN v_status := 1; EXIT judge; END IF;
            IF (v_flags & -256) <> 0 THEN v_status := 4; EXIT judge; END IF;
            IF p_id[i] IS NULL OR p_id[i] = zero THEN v_status := 5; EXIT judge; END IF;
            IF p_id[i] = ones THEN v_status := 6; EXIT judge; END IF;
            IF k_status IS NOT NULL AND k_status[i] IS NOT NULL THEN
                v_status := k_status[i];
                EXIT judge;
            END IF;
            IF v_previous IS NOT NULL THEN
                j := v_previous[i];
                WHILE j IS NOT NULL LOOP
                    IF v_result[j] >= 0 THEN
                        k := CASE WHEN s_pos IS NULL THEN NULL ELSE s_pos[j] END;
                        v_status := ledger_compare(
                            v_flags, p_pending[i], p_timeout[i], p_debit[i], p_credit[i],
                            p_amount[i], p_document[i], p_effective[i], p_corrects[i], p_ledger[i],
                            p_code[i],
                            coalesce(p_flags[j], 0), p_pending[j], p_timeout[j], o_debit[j],
                            o_credit[j], v_result[j], o_document[j], p_effective[j], p_corrects[j],
                            o_ledger[j], o_code[j],
                            CASE WHEN k IS NOT NULL THEN s_amount[k]
                                 WHEN s_row IS NOT NULL THEN v_result[s_row[j]] END,
                            CASE WHEN k IS NOT NULL THEN s_document[k]
                                 WHEN s_row IS NOT NULL THEN o_document[s_row[j]] END);
                        EXIT judge;
                    ELSIF -v_result[j] IN (21, 22, 25, 54, 55, 65, 66) THEN
                        v_status := 68;
                        EXIT judge;
                    END IF;
                    j := v_previous[j];
                END LOOP;
            END IF;
            IF k_failed IS NOT NULL AND k_failed[i] IS NOT NULL THEN v_status := 68; EXIT judge; END IF;

            v_amount := p_amount[i];
            IF (v_flags & 12) <> 0 THEN
                -- Settling: post or void.
                IF (v_flags & 12) = 12 OR (v_flags & 242) <> 0 THEN v_status := 7; EXIT judge;
                ELSIF NOT v_settles OR p_pending[i] IS NULL OR p_pending[i] = zero THEN
                    v_status := 14; EXIT judge;
                ELSIF p_pending[i] = ones THEN v_status := 15; EXIT judge;
                ELSIF p_pending[i] = p_id[i] THEN v_status := 16; EXIT judge;
                ELSIF coalesce(p_timeout[i], 0) <> 0 THEN v_status := 17; EXIT judge;
                ELSIF v_amount = 0 AND (v_flags & 4) <> 0 THEN v_status := 18; EXIT judge;
                ELSIF v_amount < 0 THEN v_status := 218; EXIT judge;
                END IF;
                k := CASE WHEN s_pos IS NULL THEN NULL ELSE s_pos[i] END;
                v_same_batch := k IS NULL;
                IF v_same_batch THEN
                    k := CASE WHEN s_row IS NULL THEN NULL ELSE s_row[i] END;
                    IF k IS NOT NULL AND (k >= i OR v_result[k] < 0) THEN
                        -- The first row with that id failed: perhaps a later one was booked.
                        m := k;
                        k := NULL;
                        IF v_previous IS NOT NULL THEN
                            FOR j IN REVERSE i - 1..m LOOP
                                IF p_id[j] = p_pending[i] AND v_result[j] >= 0 THEN
                                    k := j;
                                    EXIT;
                                END IF;
                            END LOOP;
                        END IF;
                    END IF;
                    IF k IS NULL THEN v_status := 25; EXIT judge; END IF;
                    p_d := o_d[k]; p_c := o_c[k]; v_whole := v_result[k];
                    v_pflags := coalesce(p_flags[k], 0); v_pledger := o_ledger[k];
                    v_pcode := o_code[k]; v_pstate := v_row_state[k]; v_pdocument := o_document[k];
                    v_pexpires := NULL;
                    s_row[i] := k;
                ELSE
                    p_d := s_d[k]; p_c := s_c[k]; v_whole := s_amount[k]; v_pflags := s_flags[k];
                    v_pledger := s_ledger[k]; v_pcode := s_code[k]; v_pstate := s_state[k];
                    v_pdocument := s_document[k]; v_pexpires := s_expires[k];
                END IF;
                IF p_d IS NULL OR p_c IS NULL THEN v_status := 25; EXIT judge;
                ELSIF (v_pflags & 2) = 0 THEN v_status := 26; EXIT judge;
                ELSIF p_debit[i] IS NOT NULL AND p_debit[i] <> zero AND p_debit[i] <> a_id[p_d] THEN
                    v_status := 27; EXIT judge;
                ELSIF p_credit[i] IS NOT NULL AND p_credit[i] <> zero
                      AND p_credit[i] <> a_id[p_c] THEN
                    v_status := 28; EXIT judge;
                ELSIF coalesce(nullif(p_ledger[i], 0), v_pledger) <> v_pledger THEN
                    v_status := 29; EXIT judge;
                ELSIF coalesce(nullif(p_code[i], 0), v_pcode) <> v_pcode THEN
                    v_status := 30; EXIT judge;
                END IF;
                IF v_amount IS NULL OR (v_amount = 0 AND (v_flags & 8) <> 0) THEN
                    v_amount := v_whole;
                END IF;
                IF v_amount > v_whole THEN v_status := 31; EXIT judge;
                ELSIF (v_flags & 8) <> 0 AND v_amount < v_whole THEN v_status := 32; EXIT judge;
                ELSIF v_pstate = 4 THEN v_status := 33; EXIT judge;
                ELSIF v_pstate = 8 THEN v_status := 34; EXIT judge;
                ELSIF v_pstate = 512 OR v_pexpires <= v_at THEN v_status := 35; EXIT judge;
                ELSIF (v_flags & 4) <> 0 AND (a_flags[p_d] & 32) <> 0 THEN
                    v_status := 65; EXIT judge;
                ELSIF (v_flags & 4) <> 0 AND (a_flags[p_c] & 32) <> 0 THEN
                    v_status := 66; EXIT judge;
                END IF;
                d := p_d; c := p_c;
                a_dp[d] := a_dp[d] - v_whole;
                a_cp[c] := a_cp[c] - v_whole;
                IF (v_flags & 4) <> 0 THEN
                    a_d[d] := a_d[d] + v_amount;
                    a_c[c] := a_c[c] + v_amount;
                ELSIF (v_pflags & 192) <> 0 THEN
                    IF (v_pflags & 64) <> 0 THEN a_flags[d] := a_flags[d] & ~32; END IF;
                    IF (v_pflags & 128) <> 0 THEN a_flags[c] := a_flags[c] & ~32; END IF;
                END IF;
                IF v_same_batch THEN
                    v_row_state[k] := v_flags & 12;
                ELSE
                    s_state[k] := v_flags & 12;
                END IF;
                o_d[i] := d; o_c[i] := c; o_debit[i] := a_id[d]; o_credit[i] := a_id[c];
                o_ledger[i] := v_pledger; o_code[i] := v_pcode;
                IF p_document[i] IS NULL AND v_pdocument IS NOT NULL THEN
                    o_document[i] := v_pdocument;
                END IF;
            ELSE
                IF p_debit[i] IS NULL OR p_debit[i] = zero THEN v_status := 8; EXIT judge;
                ELSIF p_debit[i] = ones THEN v_status := 9; EXIT judge;
                ELSIF p_credit[i] IS NULL OR p_credit[i] = zero THEN v_status := 10; EXIT judge;
                ELSIF p_credit[i] = ones THEN v_status := 11; EXIT judge;
                ELSIF p_debit[i] = p_credit[i] THEN v_status := 12; EXIT judge;
                ELSIF v_settles AND p_pending[i] <> zero THEN v_status := 13; EXIT judge;
                END IF;
                IF (v_flags & 2) = 0 THEN
                    IF coalesce(p_timeout[i], 0) <> 0 THEN v_status := 17; EXIT judge;
                    ELSIF (v_flags & 192) <> 0 THEN v_status := 64; EXIT judge;
                    END IF;
                END IF;
                IF v_amount IS NULL THEN
                    IF (v_flags & 48) = 0 THEN v_status := 18; EXIT judge; END IF;
                    v_amount := top;
                ELSIF v_amount <= 0 AND (v_amount < 0 OR (v_flags & 192) = 0) THEN
                    v_status := CASE WHEN v_amount = 0 THEN 18 ELSE 218 END;
                    EXIT judge;
                END IF;
                IF coalesce(p_ledger[i], 0) = 0 THEN v_status := 19; EXIT judge;
                ELSIF coalesce(p_code[i], 0) = 0 THEN v_status := 20; EXIT judge;
                END IF;
                d := o_d[i]; c := o_c[i];
                IF d IS NULL THEN v_status := 21; EXIT judge;
                ELSIF c IS NULL THEN v_status := 22; EXIT judge;
                ELSIF a_ledger[d] <> a_ledger[c] THEN v_status := 23; EXIT judge;
                ELSIF a_ledger[d] <> p_ledger[i] THEN v_status := 24; EXIT judge;
                ELSIF a_merchant[d] <> a_merchant[c] THEN v_status := 224; EXIT judge;
                ELSIF a_reseller[d] <> a_reseller[c] THEN v_status := 225; EXIT judge;
                ELSIF ((a_flags[d] | a_flags[c]) & 32) <> 0 THEN
                    v_status := CASE WHEN (a_flags[d] & 32) <> 0 THEN 65 ELSE 66 END;
                    EXIT judge;
                END IF;
                v_dd := a_d[d]; v_cc := a_c[c];
                IF (v_flags & 48) <> 0 THEN
                    v_left := v_amount;
                    IF (v_flags & 16) <> 0 THEN
                        v_amount := least(v_amount, greatest(a_c[d] - v_dd - a_dp[d], 0));
                    END IF;
                    IF (v_flags & 32) <> 0 THEN
                        v_amount := least(v_amount, greatest(a_d[c] - v_cc - a_cp[c], 0));
                    END IF;
                    IF v_amount = 0 AND v_left > 0 AND (v_flags & 192) = 0 THEN
                        -- There is nothing to move, and a transfer must move something.
                        v_status := CASE WHEN (v_flags & 16) <> 0
                                          AND a_c[d] - v_dd - a_dp[d] <= 0 THEN 54 ELSE 55 END;
                        EXIT judge;
                    END IF;
                END IF;
                IF v_amount > 1000000000000000000 OR v_dd + a_dp[d] > 1000000000000000000
                   OR v_cc + a_cp[c] > 1000000000000000000 THEN
                    v_status := CASE
                        WHEN (v_flags & 2) <> 0 AND v_amount > top - a_dp[d] THEN 47
                        WHEN (v_flags & 2) <> 0 AND v_amount > top - a_cp[c] THEN 48
                        WHEN v_amount > top - v_dd THEN 49
                        WHEN v_amount > top - v_cc THEN 50
                        WHEN v_amount > top - v_dd - a_dp[d] THEN 51
                        WHEN v_amount > top - v_cc - a_cp[c] THEN 52
                        ELSE 0 END;
                    IF v_status <> 0 THEN EXIT judge; END IF;
                END IF;
                IF (a_flags[d] & 2) <> 0 AND v_dd + a_dp[d] + v_amount > a_c[d] THEN
                    v_status := 54; EXIT judge;
                ELSIF (a_flags[c] & 4) <> 0 AND v_cc + a_cp[c] + v_amount > a_d[c] THEN
                    v_status := 55; EXIT judge;
                END IF;
                IF (v_flags & 2) = 0 THEN
                    a_d[d] := v_dd + v_amount;
                    a_c[c] := v_cc + v_amount;
                ELSE
                    a_dp[d] := a_dp[d] + v_amount;
                    a_cp[c] := a_cp[c] + v_amount;
                    IF (v_flags & 64) <> 0 THEN a_flags[d] := a_flags[d] | 32; END IF;
                    IF (v_flags & 128) <> 0 THEN a_flags[c] := a_flags[c] | 32; END IF;
                    IF p_timeout[i] > 0 THEN v_timeouts := true; END IF;
                END IF;
            END IF;
            v_result[i] := v_amount;
            v_booked := v_booked + 1;
            a_at[d] := v_at; a_at[c] := v_at;
            o_merchant[i] := coalesce(a_merchant[d], a_merchant[c]);
            o_reseller[i] := coalesce(a_reseller[d], a_reseller[c]);
            IF o_history THEN
                IF (a_flags[d] & 8) <> 0 THEN
                    h1[i] := a_dp[d]; h2[i] := a_d[d]; h3[i] := a_cp[d]; h4[i] := a_c[d];
                END IF;
                IF (a_flags[c] & 8) <> 0 THEN
                    h5[i] := a_dp[c]; h6[i] := a_d[c]; h7[i] := a_cp[c]; h8[i] := a_c[c];
                END IF;
            END IF;
        END judge;
        IF v_status <> 0 THEN
            v_result[i] := -v_status;
            IF v_status IN (21, 22, 25, 54, 55, 65, 66) THEN
                f_id := f_id || p_id[i];
                f_status := f_status || v_status;
            END IF;
            IF v_chain > 0 AND NOT v_broken THEN
                v_broken := true;
                FOR m IN REVERSE i - 1..v_chain LOOP
                    -- Undo what the members before it did.
                    d := o_d[m]; c := o_c[m]; v_amount := v_result[m];
                    v_flags := coalesce(p_flags[m], 0);
                    IF (v_flags & 12) <> 0 THEN
                        k := CASE WHEN s_pos IS NULL THEN NULL ELSE s_pos[m] END;
                        IF k IS NOT NULL THEN
                            v_whole := s_amount[k]; v_pflags := s_flags[k]; s_state[k] := 0;
                        ELSE
                            k := s_row[m];
                            v_whole := v_result[k]; v_pflags := coalesce(p_flags[k], 0);
                            v_row_state[k] := 0;
                        END IF;
                        a_dp[d] := a_dp[d] + v_whole;
                        a_cp[c] := a_cp[c] + v_whole;
                        IF (v_flags & 4) <> 0 THEN
                            a_d[d] := a_d[d] - v_amount;
                            a_c[c] := a_c[c] - v_amount;
                        ELSE
                            IF (v_pflags & 64) <> 0 THEN a_flags[d] := a_flags[d] | 32; END IF;
                            IF (v_pflags & 128) <> 0 THEN a_flags[c] := a_flags[c] | 32; END IF;
                        END IF;
                    ELSIF (v_flags & 2) <> 0 THEN
                        a_dp[d] := a_dp[d] - v_amount;
                        a_cp[c] := a_cp[c] - v_amount;
                        IF (v_flags & 64) <> 0 THEN a_flags[d] := a_flags[d] & ~32; END IF;
                        IF (v_flags & 128) <> 0 THEN a_flags[c] := a_flags[c] & ~32; END IF;
                    ELSE
                        a_d[d] := a_d[d] - v_amount;
                        a_c[c] := a_c[c] - v_amount;
                    END IF;
                    v_booked := v_booked - 1;
                END LOOP;
                FOR m IN v_chain..i - 1 LOOP
                    v_result[m] := -1;
                END LOOP;
            END IF;
        END IF;
        IF v_chain > 0 AND ((coalesce(p_flags[i], 0) & 1) = 0 OR v_status = 2) THEN
            v_chain := 0;
        END IF;
        v_at := v_at + interval '1 microsecond';
    END LOOP;

    -- 4. Each account once, the transfers in one statement.
    IF v_booked > 0 THEN
        UPDATE ledger_account a
           SET debits_pending = u.dp, debits_posted = u.d, credits_pending = u.cp,
               credits_posted = u.c, flags = u.flags, last_booked_at = u.at
          FROM unnest(a_id, a_dp, a_d, a_cp, a_c, a_flags, a_at)
               AS u (id, dp, d, cp, c, flags, at)
         WHERE a.id = u.id AND u.at IS NOT NULL;
        v_at := v_at - n * interval '1 microsecond';
        INSERT INTO ledger_transfer (
            id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
            flags, timeout_s, effective_on, pending_id, document_id, corrects_id, merchant_id,
            reseller_id, debit_debits_pending, debit_debits_posted, debit_credits_pending,
            debit_credits_posted, credit_debits_pending, credit_debits_posted,
            credit_credits_pending, credit_credits_posted)
        SELECT u.id, u.debit, u.credit, u.result, nextval('ledger_timestamp'),
               v_at + (u.pos - 1) * interval '1 microsecond', u.ledger, u.code,
               coalesce(u.flags, 0), nullif(u.timeout, 0), u.effective, nullif(u.pending, zero),
               u.document, u.corrects, u.merchant, u.reseller,
               u.h1, u.h2, u.h3, u.h4, u.h5, u.h6, u.h7, u.h8
          FROM unnest(p_id, o_debit, o_credit, v_result, o_ledger, o_code, p_flags, p_timeout,
                      p_effective, p_pending, o_document, p_corrects, o_merchant, o_reseller,
                      h1, h2, h3, h4, h5, h6, h7, h8) WITH ORDINALITY
               AS u (id, debit, credit, result, ledger, code, flags, timeout, effective, pending,
                     document, corrects, merchant, reseller, h1, h2, h3, h4, h5, h6, h7, h8, pos)
         WHERE u.result >= 0;
        IF v_transit THEN
            PERFORM ledger_check_transit(a_id);
        END IF;
        IF v_timeouts THEN
            INSERT INTO ledger_pendingtimeout (transfer_id, expires_at)
            SELECT u.id, v_at + (u.pos - 1) * interval '1 microsecond'
                   + make_interval(secs => u.timeout)
              FROM unnest(p_id, p_timeout, v_result) WITH ORDINALITY AS u (id, timeout, result, pos)
             WHERE u.result >= 0 AND u.timeout > 0;
        END IF;
    END IF;
    IF f_id IS NOT NULL THEN
        INSERT INTO ledger_failedtransfer (id, status, failed_at)
        SELECT u.id, u.status, clock_timestamp() FROM unnest(f_id, f_status) AS u (id, status)
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN v_result;
END $$;
DROP FUNCTION ledger_balance_fault;
DROP FUNCTION ledger_batch_accounts;
DROP FUNCTION ledger_batch_ended;
DROP FUNCTION ledger_batch_faults;
DROP FUNCTION ledger_batch_judge;
DROP FUNCTION ledger_batch_pendings;
DROP FUNCTION ledger_batch_previous;
DROP FUNCTION ledger_batch_repeat;
DROP FUNCTION ledger_batch_seen;
DROP FUNCTION ledger_batch_targets;
DROP FUNCTION ledger_batch_write;
DROP FUNCTION ledger_covers;
DROP FUNCTION ledger_id_fault;
DROP FUNCTION ledger_moved_minor;
DROP FUNCTION ledger_open_answers;
DROP FUNCTION ledger_open_own;
DROP FUNCTION ledger_opens;
DROP FUNCTION ledger_overflow_fault;
DROP FUNCTION ledger_post_single;
DROP FUNCTION ledger_release;
DROP FUNCTION ledger_settled_fault;
DROP FUNCTION ledger_settled_minor;
DROP FUNCTION ledger_settlement_fault;
DROP FUNCTION ledger_transfer_fault;
DROP FUNCTION ledger_write_single;
