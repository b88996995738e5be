-- Whether an account can be opened as far as its own fields say.
--
-- Arguments: id, ledger, flags: of the account; flags may be null.
-- Returns: true or not (null for no id or ledger).
-- Errors: none.
-- Callers: none. Called by ledger_open, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_opens(id uuid, ledger int, flags int) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    -- 302: those of ledger.flags.AccountFlags; 6: both limits, of which an account has one at most.
    SELECT ledger > 0 AND (coalesce(flags, 0) & 6) <> 6 AND (coalesce(flags, 0) & ~302) = 0
       AND id NOT IN ('00000000-0000-0000-0000-000000000000',
                      'ffffffff-ffff-ffff-ffff-ffffffffffff')
$$;
