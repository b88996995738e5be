"""Which account takes a payment, and the adapter that speaks for it."""

from __future__ import annotations

import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from django.conf import settings
from django.utils import timezone

from core.crypto import PLATFORM_TENANT, open_sealed
from core.db import fetch_all, fetch_one
from core.errors import InvalidRequest, NotFound
from payments.providers.base import AccountConfig, Adapter
from payments.providers.models import ProviderAccount
from payments.providers.registry import provider_spec

# Staff change accounts and rules; every payment reads them. A change reaches every process within
# this time.
CACHE_TTL_S: Final = 10

ACCOUNT_TABLE: Final = "providers_provideraccount"

_CACHE_SIZE: Final = 4096

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at a provider, without its secrets."""

    id: uuid.UUID
    provider: str
    label: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One of an account's webhook secrets; one that was replaced is accepted `until` then."""

    secret: str = field(repr=False)
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is still accepted."""
        return self.until is None or self.until > now

    def stored(self) -> dict[str, str | None]:
        """As the sealed list has it."""
        return {"secret": self.secret, "until": self.until.isoformat() if self.until else None}

    @classmethod
    def read(cls, stored: str | dict[str, str | None]) -> WebhookSecret:
        """One of the sealed list; a bare text has no end."""
        if isinstance(stored, str):
            return cls(stored)
        until = stored["until"]
        return cls(str(stored["secret"]), datetime.fromisoformat(until) if until else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    account: Account
    currencies: frozenset[str]
    min_amount_minor: int | None
    max_amount_minor: int | None
    healthy: bool

    def fits(self, currency: str, amount_minor: int) -> bool:
        return (
            (not self.currencies or currency in self.currencies)
            and (self.min_amount_minor is None or amount_minor >= self.min_amount_minor)
            and (self.max_amount_minor is None or amount_minor <= self.max_amount_minor)
        )


class _Recent(Generic[_Key, _Value]):
    """The last few thousand answers, each for `CACHE_TTL_S` seconds."""

    def __init__(self) -> None:
        self._entries: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: _Key, load: Callable[[], _Value]) -> _Value:
        now = time.monotonic()
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        value = load()
        with self._lock:
            self._entries[key] = (now + CACHE_TTL_S, value)
            self._entries.move_to_end(key)
            if len(self._entries) > _CACHE_SIZE:
                self._entries.popitem(last=False)
        return value

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_candidates: _Recent[tuple[uuid.UUID, bool, str], tuple[_Candidate, ...]] = _Recent()
_opened: _Recent[uuid.UUID, tuple[Account, Adapter]] = _Recent()
_built: dict[uuid.UUID, Adapter] = {}


def forget_accounts() -> None:
    """Clear this process's cache of accounts and rules; call it after changing one."""
    _candidates.clear()
    _opened.clear()


def route(
    *,
    currency: str,
    amount_minor: int,
    merchant_id: uuid.UUID,
    livemode: bool,
    operation: str = "payment",
) -> Account:
    """The account that takes this payment: the first rule that fits, healthy accounts first.

    An account that failed its last three checks is taken only where no healthy one fits. Costs one
    statement in `CACHE_TTL_S` seconds per merchant, in any scope or none.

    Raises:
        InvalidRequest: no rule fits (``no_route``).
    """
    candidates = _candidates.get(
        (merchant_id, livemode, operation),
        lambda: _load_candidates(merchant_id, operation, livemode=livemode),
    )
    fitting = [each for each in candidates if each.fits(currency, amount_minor)]
    chosen = next((each for each in fitting if each.healthy), fitting[0] if fitting else None)
    if chosen is None:
        mode = "live" if livemode else "test"
        raise InvalidRequest(
            f"No payment provider is set up for {currency} payments of this amount in {mode} mode. "
            "Ask the platform to add one, or use another currency.",
            code="no_route",
            param="currency",
        )
    return chosen.account


def adapter_for(account_id: uuid.UUID) -> Adapter:
    """The adapter that speaks for an account; kept for `CACHE_TTL_S` seconds.

    A disabled account still answers: its payments must be captured, refunded and asked about.

    Raises:
        NotFound: no such account.
    """
    return _open(account_id)[1]


def account_get(account_id: uuid.UUID) -> Account:
    """An account by its id. Raises NotFound."""
    return _open(account_id)[0]


def returned_url() -> str:
    """A page of ours for payers who come from a challenge and have no other place to go.

    It names no session and no payment, for the provider and the merchant read this address too.
    """
    return f"{settings.BASE_URL}/pay/returned"


def _open(account_id: uuid.UUID) -> tuple[Account, Adapter]:
    return _opened.get(account_id, lambda: _load_account(account_id))


def _load_candidates(
    merchant_id: uuid.UUID, operation: str, *, livemode: bool
) -> tuple[_Candidate, ...]:
    rows = fetch_all(
        "select account_id, provider, label, currencies, min_amount_minor, max_amount_minor,"
        " healthy from providers_candidates(%s, %s, %s)",
        [merchant_id, livemode, operation],
    )
    return tuple(
        _Candidate(
            account=Account(id=row[0], provider=row[1], label=row[2], livemode=livemode),
            currencies=frozenset(row[3]),
            min_amount_minor=row[4],
            max_amount_minor=row[5],
            healthy=row[6],
        )
        for row in rows
    )


def _load_account(account_id: uuid.UUID) -> tuple[Account, Adapter]:
    row = fetch_one(
        "select provider, label, livemode, merchant_id, api_base, timeout_s, credentials,"
        " webhook_secrets from providers_account(%s)",
        [account_id],
    )
    if row is None:
        raise NotFound("No provider account has this id.", code="resource_missing")
    provider, label, livemode, merchant_id, api_base, timeout_s, credentials, secrets = row
    tenant_id = merchant_id or PLATFORM_TENANT
    spec = provider_spec(provider)
    if spec.derived_secrets is not None:
        webhook_secrets = spec.derived_secrets(account_id)
    else:
        now = timezone.now()
        found = _webhook_secrets(secrets, account_id, tenant_id)
        webhook_secrets = tuple(each.secret for each in found if each.holds(now))
    config = AccountConfig(
        account_id=account_id,
        provider=provider,
        livemode=livemode,
        credentials=_opened_json(credentials, "credentials", account_id, tenant_id) or {},
        webhook_secrets=webhook_secrets,
        api_base=api_base or spec.api_base(),
        timeout_s=timeout_s,
        return_url=returned_url(),
    )
    account = Account(id=account_id, provider=provider, label=label, livemode=livemode)
    return account, _adapter_with(config)


def webhook_secrets_of(account: ProviderAccount) -> list[WebhookSecret]:
    """An account's webhook secrets, newest first, those that have ended among them."""
    return _webhook_secrets(account.webhook_secrets, account.id, account.key_tenant_id)


def _webhook_secrets(
    sealed: str, account_id: uuid.UUID, tenant_id: uuid.UUID
) -> list[WebhookSecret]:
    stored = _opened_json(sealed, "webhook_secrets", account_id, tenant_id)
    return [WebhookSecret.read(each) for each in stored or ()]


def _adapter_with(config: AccountConfig) -> Adapter:
    """The adapter in use if nothing changed: it holds warm connections to the provider."""
    adapter = _built.get(config.account_id)
    if adapter is None or adapter.config != config:
        adapter = provider_spec(config.provider).adapter(config)
        if len(_built) >= _CACHE_SIZE:
            _built.clear()
        _built[config.account_id] = adapter
    return adapter


def _opened_json(sealed: str, column: str, account_id: uuid.UUID, tenant_id: uuid.UUID) -> Any:
    if not sealed:
        return None
    return json.loads(
        open_sealed(
            sealed,
            tenant_id=tenant_id,
            table=ACCOUNT_TABLE,
            column=column,
            pk=account_id,
        )
    )
