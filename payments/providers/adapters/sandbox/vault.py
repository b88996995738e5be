"""The sandbox's card vault: a card number goes in, a token comes out, and the number is gone.

What stays is the behaviour that the number selects, its scheme, last four digits and expiry, and
a keyed fingerprint that is the same for the same card. Only published test cards are taken.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from django.conf import settings

from core.db import assert_outside_transaction, fetch_one
from core.errors import InvalidRequest
from core.ids import encode, new_id
from core.pan import luhn_valid
from payments.providers.adapters.sandbox.cards import TEST_CARDS, TestCard

TOKEN_PREFIX: Final = "tok"  # noqa: S105 - the prefix of ids, not a secret
TOKEN_TTL_S: Final = 15 * 60

_SEPARATORS: Final = re.compile(r"[ \-]")
_DIGITS: Final = re.compile(r"[0-9]{12,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInput:
    """A card as a payer types it. ``repr`` shows neither the number nor the code."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    cvc: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A card that can be charged, or saved, once before ``expires_at``."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    funding: str
    fingerprint: str
    expires_at: datetime


def tokenize(*, card: CardInput, merchant_key: str) -> Token:
    """Exchange a test card for a token that only the merchant named by ``merchant_key`` can use.

    One statement that commits by itself, as a call to another company's vault would.

    Raises:
        ScopeError: a transaction is open.
        InvalidRequest: no published test card, a bad check digit, an expiry in the past, a security
            code of the wrong length. ``param`` names the field; the number is never repeated.
    """
    assert_outside_transaction("a call to the sandbox")
    number = _SEPARATORS.sub("", card.number)
    known = _known_card(number)
    exp_year = _checked_expiry(card.exp_month, card.exp_year)
    _check_cvc(card.cvc, known)
    token_id = new_id()
    fingerprint = _fingerprint(number)
    expires_at = _store(
        token_id=token_id,
        merchant_key=merchant_key,
        known=known,
        exp_month=card.exp_month,
        exp_year=exp_year,
        fingerprint=fingerprint,
    )
    return Token(
        id=encode(TOKEN_PREFIX, token_id),
        brand=known.brand,
        last4=number[-4:],
        exp_month=card.exp_month,
        exp_year=exp_year,
        funding=known.funding,
        fingerprint=fingerprint,
        expires_at=expires_at,
    )


def _known_card(number: str) -> TestCard:
    if not _DIGITS.fullmatch(number) or not luhn_valid(number):
        raise InvalidRequest(
            "The card number is not valid: check its digits.",
            code="invalid_number",
            param="card.number",
        )
    known = TEST_CARDS.get(number)
    if known is None:
        raise InvalidRequest(
            "Test mode takes published test cards only, and this is not one of them; it was not "
            "kept. Use 4242 4242 4242 4242 for a payment that succeeds.",
            code="test_card_required",
            param="card.number",
        )
    return known


def _checked_expiry(month: int, year: int) -> int:
    if not 1 <= month <= 12:
        raise InvalidRequest(
            "The card's expiry month must be between 1 and 12.",
            code="invalid_expiry_month",
            param="card.exp_month",
        )
    full_year = 2000 + year if 0 <= year <= 99 else year
    today = datetime.now(UTC).date()
    # A card is good until the last day of its month, and no card is issued for fifty years.
    if full_year > today.year + 50 or (full_year, month) < (today.year, today.month):
        raise InvalidRequest(
            "The card's expiry date is in the past or too far ahead.",
            code="invalid_expiry_year",
            param="card.exp_year",
        )
    return full_year


def _check_cvc(cvc: str, known: TestCard) -> None:
    if not (cvc.isascii() and cvc.isdigit() and len(cvc) == known.cvc_digits):
        raise InvalidRequest(
            f"The card's security code must have {known.cvc_digits} digits.",
            code="invalid_cvc",
            param="card.cvc",
        )


def _fingerprint(number: str) -> str:
    """The same for the same card; useless without the key."""
    digest = hmac.new(_fingerprint_key(str(settings.SECRET_KEY)), number.encode(), hashlib.sha256)
    return digest.hexdigest()[:32]


@lru_cache(maxsize=4)
def _fingerprint_key(secret: str) -> bytes:
    return hmac.new(secret.encode(), b"sandbox card fingerprint", hashlib.sha256).digest()


def _store(
    *,
    token_id: uuid.UUID,
    merchant_key: str,
    known: TestCard,
    exp_month: int,
    exp_year: int,
    fingerprint: str,
) -> datetime:
    ttl_s = int(getattr(settings, "SANDBOX_TOKEN_TTL_S", TOKEN_TTL_S))
    row = fetch_one(
        "select sandbox_tokenize(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            token_id,
            merchant_key,
            ttl_s,
            known.behaviour,
            known.outcome.value,
            known.decline.code if known.decline else "",
            known.decline.message if known.decline else "",
            known.disputed,
            known.available_at_once,
            known.brand,
            known.funding,
            known.number[-4:],
            exp_month,
            exp_year,
            fingerprint,
        ],
    )
    if row is None or not isinstance(row[0], datetime):
        return datetime.now(UTC) + timedelta(seconds=ttl_s)
    return row[0]
