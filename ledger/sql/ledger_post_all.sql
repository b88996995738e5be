-- Post transfers, all or nothing, failing in the database: so it can travel with its COMMIT.
--
-- Arguments: $1 to $12: those of ledger_post, from p_id to p_corrects.
-- Returns: nothing; every transfer is booked, or was booked before with the same content.
-- Errors: M0002 (ledger.services.LedgerRefused) where one is refused; its detail holds the answers
--   of ledger_post, by commas. Those of ledger_post.
-- Callers: app_merchant, app_reseller, app_staff, app_worker.
CREATE OR REPLACE FUNCTION ledger_post_all(uuid[], uuid[], uuid[], bigint[], int[], int[], int[], uuid[], int[], uuid[], date[], uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    answers bigint[] := ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
BEGIN
    -- Booked, or booked before with the same content (46, `exists`).
    IF EXISTS (SELECT FROM unnest(answers) AS a WHERE a < 0 AND a <> -46) THEN
        -- M0002 is ledger.services.LedgerRefused; the detail holds an answer for each transfer.
        RAISE EXCEPTION 'the ledger refused a transfer'
            USING ERRCODE = 'M0002', DETAIL = array_to_string(answers, ',');
    END IF;
END $$;
