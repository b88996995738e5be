-- Whether a transfer may be stored: the check constraint ledger_transfer_sound. Only what closes an
-- account, and what settles that, may move nothing.
--
-- Arguments: amount: in minor units; debit, credit: accounts; pending: the pending transfer that it
--   settles; flags: ledger.flags.TransferFlags.
-- Returns: false for an amount that moves nothing, equal accounts, and a pending id where the flags
--   do not settle.
-- Errors: none.
-- Callers: PUBLIC. The check constraint of ledger_transfer calls it.
CREATE OR REPLACE FUNCTION ledger_transfer_sound(
    amount bigint, debit uuid, credit uuid, pending uuid, flags int
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (amount > 0 OR (amount = 0 AND (flags & 716) <> 0)) AND debit <> credit
        AND (pending IS NULL) = ((flags & 524) = 0);
END $$;
