"""What became of a transfer: TigerBeetle's codes, in its order of precedence, in words.

Numbers below 200 are TigerBeetle's own (`CreateTransferStatus`), those from 200 ours, for what it
has no word for. Members stand in order of precedence: when several apply, the first is answered.
"""

from __future__ import annotations

import enum
from typing import Final


class TransferStatus(enum.IntEnum):
    """The outcome of one transfer of a batch."""

    words: str

    def __new__(cls, value: int, words: str) -> TransferStatus:
        member = int.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member

    CREATED = 0, "Booked."
    LINKED_EVENT_FAILED = 1, "Another transfer of its linked set failed, so nothing was booked."
    LINKED_EVENT_CHAIN_OPEN = 2, "The last transfer of the call is linked to one that never came."
    RESERVED_FLAG = 4, "A flag is set that callers may not set."
    ID_MUST_NOT_BE_ZERO = 5, "The id is zero."
    ID_MUST_NOT_BE_INT_MAX = 6, "The id is the highest number there is, which is reserved."
    EXISTS_WITH_DIFFERENT_FLAGS = 36, "The id was used before, with other flags."
    EXISTS_WITH_DIFFERENT_PENDING_ID = 40, "The id was used before, for another pending transfer."
    EXISTS_WITH_DIFFERENT_TIMEOUT = 44, "The id was used before, with another timeout."
    EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID = (
        37,
        "The id was used before, with another debit account.",
    )
    EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID = (
        38,
        "The id was used before, with another credit account.",
    )
    EXISTS_WITH_DIFFERENT_AMOUNT = 39, "The id was used before, with another amount."
    EXISTS_WITH_DIFFERENT_USER_DATA_128 = 41, "The id was used before, for another document."
    EXISTS_WITH_DIFFERENT_USER_DATA_32 = 43, "The id was used before, with another effective date."
    EXISTS_WITH_DIFFERENT_CORRECTS = 241, "The id was used before, correcting another transfer."
    EXISTS_WITH_DIFFERENT_LEDGER = 67, "The id was used before, in another ledger."
    EXISTS_WITH_DIFFERENT_CODE = 45, "The id was used before, with another code."
    EXISTS = 46, "Booked before, with the same content."
    ID_ALREADY_FAILED = 68, "The id failed before; a new attempt needs a new id."
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = 7, "The flags exclude each other."
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = 8, "The debit account is missing."
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = 9, "The debit account's id is the reserved number."
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = 10, "The credit account is missing."
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = 11, "The credit account's id is the reserved number."
    ACCOUNTS_MUST_BE_DIFFERENT = 12, "Debit and credit name the same account."
    PENDING_ID_MUST_BE_ZERO = 13, "Only a post or a void may name a pending transfer."
    PENDING_ID_MUST_NOT_BE_ZERO = 14, "A post or a void must name its pending transfer."
    PENDING_ID_MUST_NOT_BE_INT_MAX = 15, "The pending transfer's id is the reserved number."
    PENDING_ID_MUST_BE_DIFFERENT = 16, "A transfer cannot post or void itself."
    TIMEOUT_RESERVED_FOR_PENDING_TRANSFER = 17, "Only a pending transfer may have a timeout."
    CLOSING_TRANSFER_MUST_BE_PENDING = 64, "A transfer that closes an account must be pending."
    AMOUNT_MUST_NOT_BE_ZERO = 18, "The amount is zero."
    AMOUNT_MUST_NOT_BE_NEGATIVE = 218, "The amount is negative."
    LEDGER_MUST_NOT_BE_ZERO = 19, "The ledger is missing."
    CODE_MUST_NOT_BE_ZERO = 20, "The code is missing."
    DEBIT_ACCOUNT_NOT_FOUND = 21, "There is no such debit account."
    CREDIT_ACCOUNT_NOT_FOUND = 22, "There is no such credit account."
    ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER = 23, "The accounts are of different currencies or modes."
    TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS = (
        24,
        "The transfer's currency or mode is not that of its accounts.",
    )
    ACCOUNTS_MUST_HAVE_THE_SAME_MERCHANT = (
        224,
        "The accounts belong to two merchants; go through an account of the platform.",
    )
    ACCOUNTS_MUST_HAVE_THE_SAME_RESELLER = (
        225,
        "The accounts belong to two resellers; go through an account of the platform.",
    )
    PENDING_TRANSFER_NOT_FOUND = 25, "There is no such pending transfer."
    PENDING_TRANSFER_NOT_PENDING = 26, "The transfer named as pending is not a pending one."
    PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID = (
        27,
        "The pending transfer debits another account.",
    )
    PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID = (
        28,
        "The pending transfer credits another account.",
    )
    PENDING_TRANSFER_HAS_DIFFERENT_LEDGER = 29, "The pending transfer is in another ledger."
    PENDING_TRANSFER_HAS_DIFFERENT_CODE = 30, "The pending transfer has another code."
    EXCEEDS_PENDING_TRANSFER_AMOUNT = 31, "The amount is more than was pending."
    PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT = 32, "A void must be for the whole pending amount."
    PENDING_TRANSFER_ALREADY_POSTED = 33, "The pending transfer was posted before."
    PENDING_TRANSFER_ALREADY_VOIDED = 34, "The pending transfer was voided before."
    PENDING_TRANSFER_EXPIRED = 35, "The pending transfer has expired."
    DEBIT_ACCOUNT_ALREADY_CLOSED = 65, "The debit account is closed."
    CREDIT_ACCOUNT_ALREADY_CLOSED = 66, "The credit account is closed."
    OVERFLOWS_DEBITS_PENDING = 47, "The debit account cannot hold so much pending."
    OVERFLOWS_CREDITS_PENDING = 48, "The credit account cannot hold so much pending."
    OVERFLOWS_DEBITS_POSTED = 49, "The debit account's total would pass 64 bits."
    OVERFLOWS_CREDITS_POSTED = 50, "The credit account's total would pass 64 bits."
    OVERFLOWS_DEBITS = 51, "The debit account's posted and pending total would pass 64 bits."
    OVERFLOWS_CREDITS = 52, "The credit account's posted and pending total would pass 64 bits."
    OVERFLOWS_TIMEOUT = 53, "The timeout ends beyond what a date can say."
    EXCEEDS_CREDITS = 54, "The debit account does not hold enough."
    EXCEEDS_DEBITS = 55, "The credit account would be credited more than was debited."

    @property
    def ok(self) -> bool:
        """Whether the transfer is booked, now or from before."""
        return self in (TransferStatus.CREATED, TransferStatus.EXISTS)

    @property
    def transient(self) -> bool:
        """Whether other balances could have let it pass; its id is then refused for ever."""
        return self in TRANSIENT


TRANSIENT = frozenset(
    {
        TransferStatus.DEBIT_ACCOUNT_NOT_FOUND,
        TransferStatus.CREDIT_ACCOUNT_NOT_FOUND,
        TransferStatus.PENDING_TRANSFER_NOT_FOUND,
        TransferStatus.EXCEEDS_CREDITS,
        TransferStatus.EXCEEDS_DEBITS,
        TransferStatus.DEBIT_ACCOUNT_ALREADY_CLOSED,
        TransferStatus.CREDIT_ACCOUNT_ALREADY_CLOSED,
    }
)


BY_NUMBER: Final = {int(status): status for status in TransferStatus}


class AccountStatus(enum.IntEnum):
    """The outcome of opening one account."""

    words: str

    def __new__(cls, value: int, words: str) -> AccountStatus:
        member = int.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member

    CREATED = 0, "Opened."
    RESERVED_FLAG = 5, "A flag is set that accounts do not have."
    ID_MUST_NOT_BE_ZERO = 6, "The id is zero."
    ID_MUST_NOT_BE_INT_MAX = 7, "The id is the highest number there is, which is reserved."
    EXISTS_WITH_DIFFERENT_FLAGS = 15, "The account exists with other flags."
    EXISTS_WITH_DIFFERENT_OWNER = 216, "The account exists and belongs to another owner."
    EXISTS_WITH_DIFFERENT_LEDGER = 19, "The account exists in another ledger."
    EXISTS_WITH_DIFFERENT_CODE = 20, "The account exists with another code."
    EXISTS = 21, "Opened before, with the same content."
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = 8, "An account can be limited on one side only."
    LEDGER_MUST_NOT_BE_ZERO = 13, "The ledger is missing."
    CODE_MUST_NOT_BE_ZERO = 14, "The code is missing."
    CODE_UNKNOWN = 214, "The chart of accounts has no such code."

    @property
    def ok(self) -> bool:
        """Whether the account is open as it was asked for, now or from before."""
        return self in (AccountStatus.CREATED, AccountStatus.EXISTS)


ACCOUNT_BY_NUMBER: Final = {int(status): status for status in AccountStatus}
