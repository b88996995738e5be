"""Tenants themselves: signing up resellers and merchants, their settings and their fees."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

import pycountry
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, URLValidator, validate_email

from core import errors
from core.context import Actor
from core.db import tenant_atomic
from core.models import Tenancy
from core.money import currency
from core.pan import refuse_card_numbers
from core.unit import Writes
from tenants import events, policies
from tenants.fees import fixed_fee_minor
from tenants.lock_objects import lock_merchant
from tenants.models import Merchant, Platform, Reseller, TenantStatus

_DESCRIPTOR: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 .,&+\-/#]{5,22}")
#: What a merchant and its reseller may change themselves; the grants say the same.
MERCHANT_SETTINGS: Final = ("name", "statement_descriptor", "support_email", "website")


def reseller_create(
    *, actor: Actor, platform_id: UUID, name: str, country: str, legal_name: str = ""
) -> Reseller:
    """Sign up a reseller (compliance staff). Raises InvalidRequest, NotFound for the platform."""
    row = Reseller(
        platform_id=platform_id,
        name=clean_name(name),
        legal_name=legal_name.strip(),
        country=_country(country),
    )
    with tenant_atomic(actor.scope):
        if not Platform.objects.filter(id=platform_id).exists():
            raise errors.NotFound("There is no such platform.", param="platform")
        writes = Writes()
        writes.insert(row)
        writes.record(
            row,
            action="reseller.created",
            event=None,
            actor=actor,
            after={"name": row.name, "country": row.country},
        )
        writes.flush()
    return row


def merchant_create(
    *,
    actor: Actor,
    name: str,
    country: str,
    default_currency: str,
    legal_name: str = "",
    statement_descriptor: str = "",
    support_email: str = "",
    website: str = "",
) -> Merchant:
    """Sign up a merchant under the actor's reseller; it starts pending, in test mode.

    Fees are the platform's defaults, the fixed part by currency; staff change them. Raises
    InvalidRequest, PermissionDenied.
    """
    if actor.reseller_id is None or actor.merchant_id is not None:
        raise errors.PermissionDenied("Only a reseller signs up merchants.", code="not_a_reseller")
    code = currency(default_currency).code
    row = Merchant(
        reseller_id=actor.reseller_id,
        name=clean_name(name),
        legal_name=legal_name.strip(),
        country=_country(country),
        default_currency=code,
        statement_descriptor=_descriptor(statement_descriptor),
        support_email=_support_email(support_email),
        website=_website(website),
        fee_fixed_minor=fixed_fee_minor(code),
        status=TenantStatus.PENDING,
    )
    writes = Writes()
    writes.insert(row)
    writes.record(
        row,
        action="merchant.created",
        event=events.MERCHANT_CREATED,
        actor=actor,
        after={"name": row.name, "country": row.country, "currency": row.default_currency},
        payload={"id": row.public_id, "name": row.name, "status": row.status},
        # Its reseller's: there was no merchant before.
        tenancy=Tenancy(reseller_id=row.reseller_id),
    )
    with tenant_atomic(actor.scope):
        writes.flush()
    return row


def merchant_update(*, actor: Actor, merchant_id: UUID, **changes: str) -> Merchant:
    """Change a merchant's own settings (``MERCHANT_SETTINGS``).

    Raises NotFound for a foreign merchant, InvalidRequest for a setting or value that is not one.
    """
    unknown = sorted(set(changes) - set(MERCHANT_SETTINGS))
    if unknown:
        raise errors.InvalidRequest(
            f"{unknown[0]} cannot be changed here.", code="setting_unknown", param=unknown[0]
        )
    cleaned: dict[str, Any] = dict(changes)
    for name, clean in _CLEAN.items():
        if name in cleaned:
            cleaned[name] = clean(cleaned[name])
    with tenant_atomic(actor.scope):
        row = Merchant.objects.filter(id=merchant_id).first()
        if row is None or not policies.owns(actor, row):
            raise errors.NotFound("There is no such merchant.")
        before = {key: getattr(row, key) for key in cleaned}
        changed = {key: value for key, value in cleaned.items() if before[key] != value}
        if changed:
            for key, value in changed.items():
                setattr(row, key, value)
            writes = Writes()
            writes.update(row, *changed)
            writes.record(
                row,
                action="merchant.updated",
                event=None,
                actor=actor,
                before={key: before[key] for key in changed},
                after=changed,
            )
            writes.flush()
    return row


def merchant_identify(*, actor: Actor, merchant_id: UUID, legal_name: str, country: str) -> None:
    """Correct who a merchant is by law (compliance staff). Raises InvalidRequest, NotFound."""
    cleaned = " ".join(legal_name.split())
    if not 1 <= len(cleaned) <= 200:
        raise errors.InvalidRequest(
            "Give a legal name of 1 to 200 characters.", code="name_invalid", param="legal_name"
        )
    refuse_card_numbers(cleaned, "legal_name")
    after = {"legal_name": cleaned, "country": _country(country)}
    with tenant_atomic(actor.scope):
        merchant = lock_merchant(merchant_id)
        before = {key: getattr(merchant, key) for key in after}
        for key, value in after.items():
            setattr(merchant, key, value)
        writes = Writes()
        writes.update(merchant, *after)
        writes.record(
            merchant,
            action="merchant.identified",
            event=None,
            actor=actor,
            before=before,
            after=after,
        )
        writes.flush()


def merchant_set_fees(
    *,
    actor: Actor,
    merchant_id: UUID,
    fee_bps: int,
    fee_fixed_minor: int,
    reseller_share_bps: int,
) -> None:
    """Price a merchant (finance staff); payments captured from now on pay it."""
    after = {
        "fee_bps": fee_bps,
        "fee_fixed_minor": fee_fixed_minor,
        "reseller_share_bps": reseller_share_bps,
    }
    if not (0 <= fee_bps <= 10_000 and 0 <= reseller_share_bps <= 10_000 and fee_fixed_minor >= 0):
        raise errors.InvalidRequest("Fees are between 0 and 10000 basis points.", code="fee_range")
    with tenant_atomic(actor.scope):
        merchant = lock_merchant(merchant_id)
        before = {key: getattr(merchant, key) for key in after}
        for key, value in after.items():
            setattr(merchant, key, value)
        writes = Writes()
        writes.update(merchant, *after)
        writes.record(
            merchant,
            action="merchant.fees_changed",
            event=None,
            actor=actor,
            before=before,
            after=after,
        )
        writes.flush()


def clean_name(name: str) -> str:
    """A tenant's name without surplus spaces. Raises InvalidRequest for none or a long one."""
    cleaned = " ".join(name.split())
    if not 1 <= len(cleaned) <= 120:
        raise errors.InvalidRequest(
            "Give a name of 1 to 120 characters.", code="name_invalid", param="name"
        )
    refuse_card_numbers(cleaned, "name")
    return cleaned


def _country(code: str) -> str:
    found = pycountry.countries.get(alpha_2=code.strip().upper())
    if found is None:
        raise errors.InvalidRequest(
            "country is a two-letter ISO 3166-1 code, such as US.",
            code="country_unknown",
            param="country",
        )
    return str(found.alpha_2)


def _descriptor(text: str) -> str:
    """The card schemes' rule: 5 to 22 Latin characters, at least one letter."""
    cleaned = " ".join(text.split())
    if cleaned and not _DESCRIPTOR.fullmatch(cleaned):
        raise errors.InvalidRequest(
            "A statement descriptor has 5 to 22 Latin letters, digits or .,&+-/# and one letter.",
            code="statement_descriptor_invalid",
            param="statement_descriptor",
        )
    return cleaned


def _support_email(text: str) -> str:
    cleaned = text.strip()
    try:
        if cleaned:
            validate_email(cleaned)
    except ValidationError as error:
        raise errors.InvalidRequest(
            "This is not an e-mail address.", code="email_invalid", param="support_email"
        ) from error
    return cleaned


def _website(text: str) -> str:
    cleaned = text.strip()
    try:
        if cleaned:
            URLValidator(schemes=["http", "https"])(cleaned[:201])
            MaxLengthValidator(200)(cleaned)
    except ValidationError as error:
        raise errors.InvalidRequest(
            "A website begins with https:// and has at most 200 characters.",
            code="url_invalid",
            param="website",
        ) from error
    return cleaned


_CLEAN: Final = {
    "name": clean_name,
    "statement_descriptor": _descriptor,
    "support_email": _support_email,
    "website": _website,
}
