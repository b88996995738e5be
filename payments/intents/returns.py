"""The address of ours that a payer comes back to from a provider's challenge."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.signing import BadSignature, Signer

_SIGNER: Final = Signer(salt="payer-return", sep=".")


def return_address(reference: str) -> str:
    """Where the provider sends the payer of an attempt; only we can make such an address."""
    return f"{settings.BASE_URL}/payer-return/{_SIGNER.sign(reference)}"


def returned_reference(ticket: str) -> str | None:
    """The attempt's reference that an address was made for; None for an address of others."""
    try:
        return _SIGNER.unsign(ticket)
    except BadSignature:
        return None
