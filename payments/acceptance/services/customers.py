"""Customers and the methods that they let a merchant charge again."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from core import ids
from core.api.fields import merged_metadata
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import AppError, NotFound, Unavailable
from core.events import EventSpec
from core.idempotency import Claim
from core.ids import new_id
from core.unit import Writes
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_customer
from payments.acceptance.models import Customer, PaymentMethod
from payments.acceptance.selectors import customer_get, payment_method_get
from payments.acceptance.services.sources import refused_source
from payments.acceptance.shapes import customer_out, payment_method_out
from payments.intents.failures import PROVIDER_UNAVAILABLE, is_our_fault, shown_failure
from payments.providers.base import ProviderError, SavedMethod, SaveMethod
from payments.providers.calls import provider_call
from payments.providers.selectors import route

_FIELDS = ("email", "name", "reference", "metadata")


def customer_create(
    *,
    actor: Actor,
    email: str = "",
    name: str = "",
    reference: str = "",
    metadata: dict[str, str] | None = None,
) -> Customer:
    """Make a customer of the actor's merchant; runs inside the caller's transaction."""
    assert actor.merchant_id is not None
    assert actor.reseller_id is not None
    customer = Customer(
        merchant_id=actor.merchant_id,
        reseller_id=actor.reseller_id,
        livemode=actor.livemode,
        email=email.strip().lower(),
        name=name,
        reference=reference,
        metadata=metadata or {},
    )
    writes = Writes()
    writes.insert(customer)
    _record(writes, customer, events.CUSTOMER_CREATED, actor)
    writes.flush()
    return customer


def customer_update(*, customer_id: uuid.UUID, actor: Actor, changes: dict[str, Any]) -> Customer:
    """Change a customer's own fields; runs inside the caller's transaction.

    Metadata is merged by key, under the row's lock: of two changes at the same time both stay.

    Raises:
        InvalidRequest: more than 50 metadata pairs would be left.
        NotFound: none in this scope and mode.
    """
    # Locked, or a change that is under way would write back what a deletion forgets meanwhile.
    customer = lock_customer(customer_id, livemode=actor.livemode)
    wanted = dict(changes)
    if "metadata" in wanted:
        wanted["metadata"] = merged_metadata(customer.metadata, wanted["metadata"])
    if "email" in wanted:
        wanted["email"] = wanted["email"].strip().lower()
    named = [name for name in _FIELDS if name in wanted]
    changed = [name for name in named if wanted[name] != getattr(customer, name)]
    for name in named:
        setattr(customer, name, wanted[name])
    if named:
        writes = Writes()
        writes.update(customer, *named)
        # Names alone: the audit trail is never emptied, and values may be personal data.
        writes.record(
            customer,
            action=events.CUSTOMER_UPDATED.name,
            event=events.CUSTOMER_UPDATED,
            actor=actor,
            after={"changed": changed},
            payload=customer_out(customer),
        )
        writes.flush()
    return customer


def customer_delete(*, customer_id: uuid.UUID, actor: Actor) -> Customer:
    """Forget a customer's personal data and detach the methods; the payments stay.

    The customer's events stay too, and say from now on what is left: id, mode and time. The answers
    kept for repetitions of what made the customer are emptied.

    Raises:
        NotFound: none in this scope and mode.
    """
    customer = lock_customer(customer_id, livemode=actor.livemode)
    customer.email = customer.name = customer.reference = ""
    customer.metadata = {}
    customer.deleted_at = timezone.now()
    writes = Writes()
    writes.update(customer, *_FIELDS, "deleted_at")
    writes.sql(
        "UPDATE acceptance_paymentmethod SET detached_at = now()"
        " WHERE customer_id = %s AND detached_at IS NULL RETURNING 1",
        [customer.id],
    )
    writes.forget(
        object_id=customer.public_id,
        resource_id=customer.id,
        payload=customer_out(customer),
        merchant_id=customer.merchant_id,
    )
    _record(writes, customer, events.CUSTOMER_DELETED, actor)
    writes.flush()
    return customer


def payment_method_attach(
    *,
    customer_id: uuid.UUID,
    payment_method_token: str,
    actor: Actor,
    currency: str,
    claim: Claim | None = None,
) -> PaymentMethod:
    """Exchange a one-use token for a method that can be charged again.

    The provider is called outside any transaction, under a key derived from customer and token, so
    that a retry after a crash finds the same method there. `claim` is finished with the method's
    row, so that one key makes one method; a token that was saved before gives the method it made.

    Raises:
        NotFound: no such customer, or no such token.
        InvalidRequest: the provider refused the token.
        Unavailable: the provider did not answer, or does not take requests of ours
            (`ProviderBusy`: for the moment).
    """
    assert actor.merchant_id is not None
    assert actor.reseller_id is not None
    account = route(
        currency=currency, amount_minor=1, merchant_id=actor.merchant_id, livemode=actor.livemode
    )
    with tenant_atomic(Scope.merchant(actor.merchant_id)):
        customer = customer_get(customer_id=customer_id, livemode=actor.livemode)
        # The provider's own customer, where an earlier method at this account has made one.
        earlier = customer.payment_methods.filter(provider_account_id=account.id)
        known = earlier.exclude(provider_customer="").last()
    method_id = new_id()
    request = SaveMethod(
        reference=ids.encode(PaymentMethod.PREFIX, method_id),
        idempotency_key=f"attach-{customer.public_id}-{payment_method_token}",
        token=payment_method_token,
        merchant_key=ids.encode("mer", actor.merchant_id),
        customer=known.provider_customer if known else "",
    )
    try:
        saved = provider_call(
            account_id=account.id,
            merchant_id=actor.merchant_id,
            send=lambda adapter: adapter.save_method(request),
        )
    except ProviderError as error:
        raise _not_saved(error) from error
    method = _new_method(customer, saved, account_id=account.id, method_id=method_id)
    with tenant_atomic(Scope.merchant(actor.merchant_id)):
        writes = Writes()
        # Of two that save the same token, the second finds the first's method.
        lock_customer(customer.id, livemode=customer.livemode)
        before = customer.payment_methods.filter(
            provider_account_id=account.id,
            provider_method=saved.method,
            detached_at__isnull=True,
        ).first()
        if before is None:
            writes.insert(method)
            _record_method(writes, method, events.PAYMENT_METHOD_ATTACHED, actor)
        else:
            # The token was saved before: the same card of the provider is the same method.
            method = before
        if claim is not None:
            claim.finish(writes, method)
        writes.flush()
    return method


def _not_saved(error: ProviderError) -> AppError:
    """The caller can fix a fault of the token, not one of ours or a temporary one."""
    if not error.permanent or is_our_fault(error.code):
        _, message = shown_failure("provider_error", "")
        return Unavailable(message, code=PROVIDER_UNAVAILABLE)
    return refused_source(error.code, error.message, param="payment_method_token")


def _new_method(
    customer: Customer, saved: SavedMethod, *, account_id: uuid.UUID, method_id: uuid.UUID
) -> PaymentMethod:
    card = saved.card
    return PaymentMethod(
        id=method_id,
        merchant_id=customer.merchant_id,
        reseller_id=customer.reseller_id,
        livemode=customer.livemode,
        customer=customer,
        provider_account_id=account_id,
        provider_method=saved.method,
        provider_customer=saved.customer,
        brand=card.brand if card else "",
        last4=card.last4 if card else "",
        exp_month=card.exp_month if card else 0,
        exp_year=card.exp_year if card else 0,
        fingerprint=card.fingerprint if card else "",
    )


def payment_method_detach(*, payment_method_id: uuid.UUID, actor: Actor) -> PaymentMethod:
    """Stop charging a saved method; runs inside the caller's transaction.

    Raises:
        NotFound: none in this scope and mode.
    """
    method = payment_method_get(payment_method_id=payment_method_id, livemode=actor.livemode)
    if method.customer_id is None:
        raise NotFound("There is no such payment method.")
    method.detached_at = timezone.now()
    writes = Writes()
    writes.update(method, "detached_at")
    _record_method(writes, method, events.PAYMENT_METHOD_DETACHED, actor)
    writes.flush()
    return method


def _record(writes: Writes, customer: Customer, event: EventSpec, actor: Actor) -> None:
    writes.record(
        customer,
        action=event.name,
        event=event,
        actor=actor,
        payload=customer_out(customer),
    )


def _record_method(writes: Writes, method: PaymentMethod, event: EventSpec, actor: Actor) -> None:
    writes.record(
        method,
        action=event.name,
        event=event,
        actor=actor,
        payload=payment_method_out(method),
    )
