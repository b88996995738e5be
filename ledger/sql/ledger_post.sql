-- Post transfers: the way in. A single transfer that is sound is booked here, in a few statements
-- on scalars; everything else, and every single one that turns out not to be sound, is judged as a
-- batch (ledger_post_batch), with the accounts already locked. Both give the same answers.
--
-- Arguments: one array element for each transfer: p_id, p_debit, p_credit, p_amount (minor units),
--   p_ledger, p_code, p_flags (ledger.flags.TransferFlags), p_pending (what a post or void
--   settles), p_timeout (seconds), p_document, p_effective, p_corrects. A whole array may be null
--   where no transfer says anything. p_role, p_tenant: the scope that a login role outside any
--   scope would have opened; ignored within one.
-- Returns: for each transfer the amount moved where it was booked (zero or more), else the negated
--   code of ledger.status.TransferStatus.
-- Errors: insufficient_privilege without a scope, for a scope that the login role cannot open, and
--   for a correction (p_corrects) in a tenant's scope; those of ledger_post_batch.
-- Callers: app_merchant, app_reseller, app_staff, app_worker, merchantry_app. Runs as app_definer.
--   The login role may post outside a scope (one round trip, ADR 0020); within one, only as that
--   one.
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
