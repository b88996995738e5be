"""Inbound webhooks, and the accounts and rules that payments are routed by."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog
from django.db import connection
from django.utils import timezone

from core import inbox
from core.context import Actor
from core.crypto import PLATFORM_TENANT, CannotOpen, seal
from core.db import Scope, after_commit, tenant_atomic
from core.errors import AuthenticationFailed, InvalidRequest, NotFound
from core.ids import new_id
from core.models import InboxMessage
from core.money import currency as known_currency
from core.pan import mask_card_numbers
from core.unit import Writes
from payments.providers.base import (
    EventKind,
    Health,
    PayloadInvalid,
    ProviderEvent,
    SignatureInvalid,
    WebhookRejected,
)
from payments.providers.calls import ProviderBusy, ProviderSilent, provider_call
from payments.providers.lock_objects import lock_account
from payments.providers.models import Operation, ProviderAccount, RoutingRule
from payments.providers.registry import provider_names, provider_spec
from payments.providers.selectors import (
    ACCOUNT_TABLE,
    Account,
    WebhookSecret,
    account_get,
    adapter_for,
    forget_accounts,
    webhook_secrets_of,
)

log = structlog.get_logger(__name__)

EventHandler = Callable[[ProviderEvent, Account], bool]

_EVENT_ID_MAX: Final = 255
_REFERENCE_MAX: Final = 100

#: Called with our reference of the payment whose payer comes back from a challenge.
ReturnHandler = Callable[[str], object]
_handler: EventHandler | None = None
_return_handler: ReturnHandler | None = None


def register_event_handler(handler: EventHandler) -> None:
    """Let a higher room take the events of every provider (called in its AppConfig.ready).

    ``handler(event, account)`` runs in a task, outside any transaction, and may be called twice for
    one event. It answers whether it knows what the event is about; one that it does not know yet is
    parked under the event's reference and tried again (`core.inbox.match_parked`).
    """
    global _handler
    _handler = handler


def register_return_handler(handler: ReturnHandler) -> None:
    """Let a higher room ask what became of a payment before its payer is sent back to the shop."""
    global _return_handler
    _return_handler = handler


def payer_returned(reference: str) -> None:
    """Bring a payment up to date whose payer has answered the challenge and is on the way back.

    The shop reads the payment as soon as the payer arrives. What cannot be learnt now keeps no
    payer waiting: the provider's event brings it.
    """
    if _return_handler is not None:
        _return_handler(reference)


def webhook_receive(
    *, provider: str, account_id: uuid.UUID, raw_body: bytes, headers: Mapping[str, str]
) -> tuple[InboxMessage, bool]:
    """Verify an event over its raw bytes and store it once; a task processes it afterwards.

    Returns the message and whether it is new. Nothing is stored unless the signature holds.

    Raises:
        NotFound: no account of this provider has this id.
        AuthenticationFailed: no signature by the account's secret (``webhook_signature_invalid``),
            or one that is too old (``webhook_timestamp_expired``).
        InvalidRequest: not an event of this provider (``webhook_payload_invalid``).
    """
    account = account_get(account_id)
    if account.provider != provider:
        raise NotFound("No provider account has this id.", code="resource_missing")
    adapter = adapter_for(account_id)
    try:
        adapter.verify_webhook_signature(raw_body, headers)
        event = adapter.parse_webhook_event(raw_body)
        _check_storable(event)
    except SignatureInvalid as rejected:
        raise AuthenticationFailed(str(rejected), code=rejected.code) from rejected
    except WebhookRejected as rejected:
        raise InvalidRequest(str(rejected), code=rejected.code) from rejected
    return inbox.receive(
        provider=provider,
        account_id=account_id,
        event_id=event.event_id,
        raw=raw_body,
        headers=headers,
        parsed_type=event.type,
        reference=_parking_reference(event),
    )


def webhook_process(message: InboxMessage) -> inbox.Result:
    """Hand a stored event to the handler; `core.inbox` calls this and keeps count."""
    account = account_get(message.account_id)
    event = adapter_for(message.account_id).parse_webhook_event(bytes(message.raw))
    if event.kind is EventKind.IGNORED:
        return inbox.Result(inbox.Verdict.IGNORED)
    if _handler is None:
        raise LookupError("No handler of provider events is registered.")
    if _handler(event, account):
        return inbox.Result(inbox.Verdict.PROCESSED)
    return inbox.Result(inbox.Verdict.PARKED, _parking_reference(event))


def account_create(
    *,
    actor: Actor,
    provider: str,
    label: str,
    livemode: bool,
    credentials: Mapping[str, str],
    webhook_secrets: Sequence[str] = (),
    merchant_id: uuid.UUID | None = None,
    reseller_id: uuid.UUID | None = None,
    api_base: str = "",
    timeout_s: int = 20,
) -> ProviderAccount:
    """Open an account at a provider, for the platform or for one merchant (both its ids given).

    Secrets are sealed for their row before they reach the database.

    Raises:
        InvalidRequest: an unknown provider, a sandbox in live mode, a key of the other mode, an
            address that is neither https nor loopback.
    """
    _check_account(provider, credentials, api_base, livemode=livemode)
    account = ProviderAccount(
        id=new_id(),
        provider=provider,
        label=label,
        livemode=livemode,
        merchant_id=merchant_id,
        reseller_id=reseller_id,
        api_base=api_base,
        timeout_s=timeout_s,
        key_tenant_id=merchant_id or PLATFORM_TENANT,
    )
    writes = Writes()
    with tenant_atomic(Scope.staff()):
        account.credentials = _sealed(account, "credentials", dict(credentials))
        account.webhook_secrets = _sealed(account, "webhook_secrets", list(webhook_secrets))
        writes.insert(account)
        writes.record(
            account,
            action="provider_account.created",
            event=None,
            actor=actor,
            after={"provider": provider, "label": label, "api_base": api_base},
        )
        writes.flush()
        after_commit(forget_accounts)
    return account


def account_replace_key(
    *, actor: Actor, account_id: uuid.UUID, secret_key: str, reason: str
) -> None:
    """Give an account a new API key of the same mode and the same owner at the provider.

    Captures, refunds and questions about payments that the old key made use the new one as well;
    every process does within `selectors.CACHE_TTL_S`, so the old key is ended after that.

    Raises:
        NotFound: no such account.
        InvalidRequest: the provider's keys look different, are of the other mode, or it has none.
    """
    with tenant_atomic(Scope.staff()):
        account = lock_account(account_id)
        spec = provider_spec(account.provider)
        if spec.derived_secrets is not None:
            raise InvalidRequest("This provider has no key to replace.", param="secret_key")
        credentials = {"secret_key": secret_key.strip()}
        try:
            spec.check(credentials, account.livemode)
        except InvalidRequest as refused:
            raise InvalidRequest(
                refused.message, code=refused.code, param="secret_key"
            ) from refused
        account.credentials = _sealed(account, "credentials", credentials)
        _save(
            account,
            "credentials",
            actor=actor,
            action="provider_account.key_replaced",
            after={"reason": reason},
        )


def account_replace_webhook_secret(
    *, actor: Actor, account_id: uuid.UUID, secret: str, overlap: timedelta, reason: str
) -> None:
    """Give an account a new webhook secret; those in use are accepted for `overlap` beside it.

    A secret that ends sooner keeps its end, so that as many overlap as were replaced in that time.

    Raises:
        NotFound: no such account.
        InvalidRequest: an empty secret, one that is in use, or a provider that signs otherwise.
    """
    now = timezone.now()
    with tenant_atomic(Scope.staff()):
        account = lock_account(account_id)
        if provider_spec(account.provider).derived_secrets is not None:
            raise InvalidRequest("This provider has no secret to replace.", param="secret")
        used = [each for each in webhook_secrets_of(account) if each.holds(now)]
        new = secret.strip()
        if not new or new in {each.secret for each in used}:
            raise InvalidRequest("Give a secret that is not in use yet.", param="secret")
        ends = now + overlap
        ending = [
            WebhookSecret(each.secret, min(each.until or ends, ends))
            for each in used
            if overlap > timedelta()
        ]
        stored = [each.stored() for each in (WebhookSecret(new), *ending)]
        account.webhook_secrets = _sealed(account, "webhook_secrets", stored)
        _save(
            account,
            "webhook_secrets",
            actor=actor,
            action="provider_account.webhook_secret_replaced",
            after={"reason": reason, "old_until": ends.isoformat()},
        )


def account_set_enabled(*, actor: Actor, account_id: uuid.UUID, enabled: bool) -> None:
    """Take an account into routing or out of it. Payments that it took stay its own.

    Raises NotFound.
    """
    with tenant_atomic(Scope.staff()):
        account = _account(account_id)
        account.enabled = enabled
        action = "provider_account.enabled" if enabled else "provider_account.disabled"
        _save(account, "enabled", actor=actor, action=action)


def rule_create(
    *,
    actor: Actor,
    account_id: uuid.UUID,
    currencies: Sequence[str] = (),
    min_amount_minor: int | None = None,
    max_amount_minor: int | None = None,
    priority: int = 100,
    merchant_id: uuid.UUID | None = None,
    reseller_id: uuid.UUID | None = None,
) -> RoutingRule:
    """Send payments that fit to an account; `RoutingRule` says which of several rules decides.

    Raises:
        NotFound: no such account.
        InvalidRequest: an unknown currency, or bounds in the wrong order.
    """
    codes = sorted({known_currency(code).code for code in currencies})
    low, high = min_amount_minor, max_amount_minor
    if low is not None and high is not None and low > high:
        raise InvalidRequest("The lower bound is above the upper one.", param="min_amount_minor")
    writes = Writes()
    with tenant_atomic(Scope.staff()):
        account = _account(account_id)
        if account.merchant_id is not None and merchant_id not in (None, account.merchant_id):
            raise InvalidRequest(
                "This account belongs to another merchant; a rule cannot lend it out.",
                param="account",
            )
        rule = RoutingRule(
            id=new_id(),
            account=account,
            merchant_id=merchant_id,
            reseller_id=reseller_id,
            operation=Operation.PAYMENT,
            currencies=codes,
            min_amount_minor=min_amount_minor,
            max_amount_minor=max_amount_minor,
            priority=priority,
        )
        writes.insert(rule)
        writes.record(
            rule,
            action="routing_rule.created",
            event=None,
            actor=actor,
            after={"account": account.public_id, "currencies": codes, "priority": priority},
        )
        writes.flush()
        after_commit(forget_accounts)
    return rule


def health_check(*, account_id: uuid.UUID) -> Health:
    """Ask an account's provider for a sign of life and note the answer. Raises NotFound."""
    try:
        health = provider_call(
            account_id=account_id, merchant_id=None, send=lambda adapter: adapter.health()
        )
    except (ProviderBusy, ProviderSilent) as error:
        health = Health(ok=False, latency_ms=0, message=error.message)
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        cursor.execute(
            "insert into providers_providerhealth as h (id, created_at, account_id, checked_at, ok,"
            " latency_ms, message, failures_in_a_row) values (%s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (account_id) do update set checked_at = excluded.checked_at,"
            " ok = excluded.ok, latency_ms = excluded.latency_ms, message = excluded.message,"
            " failures_in_a_row = case when excluded.ok then 0"
            "   else least(h.failures_in_a_row + 1, 1000) end",
            [
                new_id(),
                timezone.now(),
                account_id,
                timezone.now(),
                health.ok,
                health.latency_ms,
                mask_card_numbers(health.message)[:300],
                0 if health.ok else 1,
            ],
        )
    return health


def health_check_all() -> int:
    """Check every enabled account; return how many answered.

    An account whose secrets do not open is logged and passed over: the others still need looking
    after.
    """
    with tenant_atomic(Scope.worker()):
        ids = list(ProviderAccount.objects.filter(enabled=True).values_list("id", flat=True))
    answered = 0
    for account_id in ids:
        try:
            answered += health_check(account_id=account_id).ok
        except (CannotOpen, LookupError) as error:
            log.error("provider.unusable", account_id=str(account_id), error=str(error))
    return answered


def _parking_reference(event: ProviderEvent) -> str:
    return (event.reference or event.provider_id)[:_REFERENCE_MAX]


def _check_storable(event: ProviderEvent) -> None:
    """What goes into text columns must fit them: PostgreSQL takes no NUL and no half characters."""
    for value in (event.event_id, event.type, event.reference, event.provider_id):
        if "\x00" in value or not value.isprintable():
            raise PayloadInvalid("The event's id, type or reference holds control characters.")
    if not 1 <= len(event.event_id) <= _EVENT_ID_MAX:
        raise PayloadInvalid(f"The event's id must have 1 to {_EVENT_ID_MAX} characters.")


def _check_account(
    provider: str, credentials: Mapping[str, str], api_base: str, *, livemode: bool
) -> None:
    if provider not in provider_names():
        known = ", ".join(provider_names())
        raise InvalidRequest(f"No provider named {provider!r}; known: {known}.", param="provider")
    provider_spec(provider).check(credentials, livemode)
    address = urlsplit(api_base)
    loopback = address.hostname in ("127.0.0.1", "::1", "localhost")
    if api_base and address.scheme != "https" and not (address.scheme == "http" and loopback):
        raise InvalidRequest("The provider's address must begin with https://.", param="api_base")


def _sealed(account: ProviderAccount, column: str, value: object) -> str:
    if not value:
        return ""
    return seal(
        json.dumps(value),
        tenant_id=account.key_tenant_id,
        table=ACCOUNT_TABLE,
        column=column,
        pk=account.id,
    )


def _account(account_id: uuid.UUID) -> ProviderAccount:
    found = ProviderAccount.objects.filter(id=account_id).first()
    if found is None:
        raise NotFound("No provider account has this id.", code="resource_missing")
    return found


def _save(
    account: ProviderAccount,
    field: str,
    *,
    actor: Actor,
    action: str,
    after: dict[str, str] | None = None,
) -> None:
    writes = Writes()
    writes.update(account, field)
    writes.record(account, action=action, event=None, actor=actor, after=after)
    writes.flush()
    after_commit(forget_accounts)
