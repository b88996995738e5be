"""Flags of accounts and transfers; the bits are TigerBeetle's, ours begin where its end."""

from __future__ import annotations

import enum


class AccountFlags(enum.IntFlag):
    """What an account refuses or keeps."""

    NONE = 0
    #: A credit-normal account that may not be overdrawn (a wallet).
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1
    #: A debit-normal account that may not be overdrawn.
    CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2
    #: Every transfer keeps the account's balances after it.
    HISTORY = 1 << 3
    #: Nothing may move but the voiding of what is pending.
    CLOSED = 1 << 5
    #: The posted balance must be zero whenever a transaction commits.
    TRANSIT = 1 << 8


class TransferFlags(enum.IntFlag):
    """How a transfer behaves."""

    NONE = 0
    #: Succeeds or fails together with the transfer after it.
    LINKED = 1 << 0
    #: Reserves the amount on both accounts.
    PENDING = 1 << 1
    POST_PENDING = 1 << 2
    VOID_PENDING = 1 << 3
    #: Moves at most what the debit account holds (credits less debits).
    BALANCING_DEBIT = 1 << 4
    #: Moves at most what the credit account lacks (debits less credits).
    BALANCING_CREDIT = 1 << 5
    #: Closes the debit (credit) account until the pending transfer is voided.
    CLOSING_DEBIT = 1 << 6
    CLOSING_CREDIT = 1 << 7
    #: Written by the expiry of a pending transfer, never by a caller.
    EXPIRED = 1 << 9


#: What a caller may set.
CALLER_FLAGS = TransferFlags(0xFF)
#: What an account may have.
ACCOUNT_FLAGS = AccountFlags(0x12E)
