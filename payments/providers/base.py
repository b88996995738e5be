"""What the platform asks of a payment provider, and what a provider answers.

An adapter is pure: it takes and returns the frozen dataclasses of this module, knows nothing of
the ORM, of a request or of HTML, and holds no state beside its configuration. It is called with no
database transaction open.

Three things can come back from a call that may move money:

* a `ProviderAnswer` (or `RefundAnswer`) that says what the provider says;
* the same with status ``unknown``: the request may or may not have taken effect (timeout, broken
  connection, an unreadable body, a 5xx). It is resolved by `get_payment_status` with *our*
  reference, never by trying elsewhere;
* `ProviderError`: the provider refused the request itself and **nothing happened** by it.
  ``permanent`` says whether the same request would be refused again. Code `KEY_REUSED` says that
  an earlier request under the same key did arrive. `NotTaken` is a request that the provider did
  not even look at; each adapter's `nothing_happened` is the whole table of the errors that say so.

Amounts are integers in minor units of the currency. Decline codes are Stripe's vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from payments.providers.declared import Harmless

# Webhooks older than this are refused, so that a recorded one cannot be replayed later.
WEBHOOK_TOLERANCE_S: Final = 300

# The code of a `ProviderError` for an idempotency key that came before with another request.
KEY_REUSED: Final = "idempotency_key_reused"

# The code of a `ProviderError` for a provider that gave no answer.
UNREACHABLE: Final = "provider_unreachable"

# Codes of a `ProviderError` that say that the source cannot be charged: no such token or card, or
# already used or expired; the issuer was never asked, so these are not declines.
SOURCE_REFUSED: Final = frozenset({"resource_missing", "token_already_used", "token_expired"})


class Status(StrEnum):
    """A provider's answer about a payment or a refund."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"
    UNKNOWN = "unknown"


class CaptureMethod(StrEnum):
    AUTOMATIC = "automatic"
    MANUAL = "manual"


class EventKind(StrEnum):
    """What an inbound event is about. ``ignored`` ones are stored and answered, not handled."""

    PAYMENT = "payment"
    REFUND = "refund"
    REFUND_TOTAL = "refund_total"
    DISPUTE = "dispute"
    IGNORED = "ignored"


class LineKind(StrEnum):
    """A line of the provider's settlement report."""

    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    FEE = "fee"
    PAYOUT = "payout"
    ADJUSTMENT = "adjustment"


class ProviderError(Exception):
    """The provider refused the request; nothing happened at the provider.

    ``permanent``: the same request would be refused again (a spent token, a capture above the
    authorisation, a wrong key). Otherwise it may be sent again with the same idempotency key.
    """

    def __init__(
        self, message: str, *, permanent: bool, code: str = "provider_error", param: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.code = code
        self.param = param

    def __repr__(self) -> str:
        return f"ProviderError({self.code!r}, permanent={self.permanent}, {self.message!r})"


class NotTaken(ProviderError):
    """The provider did nothing with the request, and may take the same one in a moment.

    Raised for the errors in an adapter's `nothing_happened` alone: any other error without an
    answer is ``unknown``. ``retry_after_s`` is the provider's own word on when, else 0.
    """

    def __init__(self, message: str, *, code: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message, permanent=False, code=code)
        self.retry_after_s = retry_after_s


class WebhookRejected(Exception):
    """An inbound webhook that must not be stored. ``code`` is stable, ``str()`` is for people."""

    code: ClassVar[str] = "webhook_rejected"


class SignatureInvalid(WebhookRejected):
    """No signature, or none made with our secret over these bytes."""

    code = "webhook_signature_invalid"


class SignatureExpired(SignatureInvalid):
    """Made with our secret, but longer ago than `WEBHOOK_TOLERANCE_S` seconds.

    A kind of invalid signature: one that old may be an eavesdropper's replay, and proves no
    caller.
    """

    code = "webhook_timestamp_expired"


class PayloadInvalid(WebhookRejected):
    """Rightly signed, but not an event that this provider documents."""

    code = "webhook_payload_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """How to reach one account at a provider. ``repr`` never shows a secret."""

    account_id: UUID
    provider: str
    livemode: bool
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    # More than one while a secret is being rotated; the newest comes first.
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    api_base: str = ""
    timeout_s: int = 20
    # Where a payer goes after a challenge when the payment names no place.
    return_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDetails:
    """What may be known about a card: never its number."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    fingerprint: str = ""
    funding: str = "unknown"
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Why a payment was refused. ``message`` may be shown to the payer."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePayment:
    """Create and confirm a payment.

    ``reference`` is ours and unique for the attempt: it is how a payment is found again when no
    answer came. ``source`` is a one-use token or a saved method of the provider. ``merchant_key``
    names the merchant to a provider that keeps tokens by merchant, as the sandbox does; at others
    (Stripe) a token belongs to the account. ``description`` and ``metadata`` are for people at
    the provider's console.
    """

    reference: str
    idempotency_key: str
    amount_minor: int
    currency: str
    source: str
    merchant_key: str = ""
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    return_url: str = ""
    off_session: bool = False
    description: str = ""
    statement_descriptor: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePayment:
    """Capture ``amount_minor`` of an authorised payment; the provider releases the rest."""

    reference: str
    idempotency_key: str
    provider_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayment:
    """Give up a payment that has not been captured. Without ``provider_id`` ours finds it."""

    reference: str
    idempotency_key: str
    provider_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPayment:
    """Send ``amount_minor`` of a captured payment back. ``reference`` is the refund's own."""

    reference: str
    idempotency_key: str
    provider_id: str
    amount_minor: int
    currency: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveMethod:
    """Turn a one-use token into a method that can be charged many times.

    ``customer`` is the *provider's* customer from an earlier `SavedMethod`; without one the
    provider makes one where it needs to.
    """

    reference: str
    idempotency_key: str
    token: str
    merchant_key: str = ""
    customer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMethod:
    """A reusable method: ``method`` is what `CreatePayment.source` takes, opaque and complete.

    ``customer`` is the provider's own customer that it hangs on, if any; it is needed to save
    another card for the same payer, not to charge this one.
    """

    method: str
    customer: str = ""
    card: CardDetails | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """What the provider says about a payment.

    * ``succeeded`` with ``amount_captured_minor`` 0 is an authorisation that waits for capture;
      ``amount_minor`` is then what is held, otherwise what was asked for at creation.
    * ``failed`` with ``canceled`` is a payment given up without a charge.
    * ``unknown`` with ``found`` false: the provider has no payment under this reference *now*. A
      request that is still on its way may yet arrive; sending it again with the same idempotency
      key is safe.
    * ``fee_minor`` is None while the provider has not reported its fee.
    * ``raw`` is the provider's own answer with everything secret taken out.
    """

    status: Status
    provider_id: str = ""
    reference: str = ""
    amount_minor: int = 0
    amount_captured_minor: int = 0
    amount_refunded_minor: int = 0
    currency: str = ""
    canceled: bool = False
    found: bool = True
    decline: Decline | None = None
    next_action_url: str = ""
    card: CardDetails | None = None
    fee_minor: int | None = None
    raw: Mapping[str, object] = field(default_factory=dict)

    @property
    def authorized(self) -> bool:
        """The money is held and waits for its capture."""
        return self.status is Status.SUCCEEDED and self.amount_captured_minor == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundAnswer:
    """What the provider says about a refund. ``found`` is read as in `ProviderAnswer`."""

    status: Status
    provider_id: str = ""
    reference: str = ""
    payment_provider_id: str = ""
    amount_minor: int = 0
    currency: str = ""
    found: bool = True
    failure: Decline | None = None
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundTotal:
    """How much of a payment the provider has refunded by now, in all."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeMovement:
    """What a provider took from our account for a dispute, or put back.

    ``amount_minor`` is below zero for what was taken, without the fee; ``fee_minor`` above zero.
    """

    id: str
    amount_minor: int
    fee_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNotice:
    """A dispute as the provider reports it. ``status`` is one of Stripe's dispute states.

    ``amount_minor`` is what it is over; ``movements`` are what it has moved so far, where the
    provider tells. ``occurred_at`` is when the provider had this to say.
    """

    provider_id: str
    payment_provider_id: str
    amount_minor: int
    currency: str
    reason: str
    status: str
    occurred_at: datetime
    movements: tuple[DisputeMovement, ...] = ()
    evidence_due_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """One inbound event. Ids are not ordered: judge by the state that it carries.

    ``reference`` is ours where the provider sends it back, else empty; ``provider_id`` is the
    payment's, also for refunds and disputes, so that one look-up finds the document.
    """

    event_id: str
    kind: EventKind
    type: str
    occurred_at: datetime
    provider_id: str = ""
    reference: str = ""
    payment: ProviderAnswer | None = None
    refund: RefundAnswer | None = None
    refunded: RefundTotal | None = None
    dispute: DisputeNotice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementLine:
    """One movement on the provider's own account statement. ``net = gross - fee``, signed."""

    line_id: str
    kind: LineKind
    provider_id: str
    reference: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    occurred_at: datetime
    available_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementPage:
    """Lines in order of time. ``next_cursor`` is empty on the last page."""

    lines: tuple[SettlementLine, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the provider can be reached with this account's credentials, and how fast."""

    ok: bool
    latency_ms: int
    message: str = ""


class Adapter(ABC):
    """One provider. Every method may be called from several threads at once.

    Calls that move something take an idempotency key; the same key with the same request has one
    effect however often it is sent.
    """

    name: ClassVar[str]
    #: False for a provider inside this process: there is no line on which an answer could be lost.
    is_remote: ClassVar[bool] = True
    #: The errors after which it is certain that nothing happened; all others are ``unknown``.
    nothing_happened: ClassVar[tuple[Harmless, ...]]

    def __init__(self, config: AccountConfig) -> None:
        self.config = config

    @abstractmethod
    def create_payment(self, request: CreatePayment) -> ProviderAnswer:
        """Create and confirm. A decline is an answer (``failed``), never an exception."""

    @abstractmethod
    def capture_payment(self, request: CapturePayment) -> ProviderAnswer:
        """Capture once, in full or in part. Raises ProviderError where nothing can be captured."""

    @abstractmethod
    def cancel_payment(self, request: CancelPayment) -> ProviderAnswer:
        """Release an authorisation or give up an open challenge. Raises ProviderError else."""

    @abstractmethod
    def get_payment_status(
        self, *, reference: str, provider_id: str | None, since: datetime | None = None
    ) -> ProviderAnswer:
        """The truth about a payment, by its id there or else by our reference.

        ``since``: the payment cannot be older, so that not everything need be looked through.
        Only a look through all of it may say that there is no such payment.

        Never raises for a payment that is not there (``unknown`` and ``found`` false), nor for a
        provider that cannot be reached (``unknown`` and ``found`` true).
        """

    @abstractmethod
    def refund_payment(self, request: RefundPayment) -> RefundAnswer:
        """Refund in full or in part. Raises ProviderError above what is left to refund."""

    @abstractmethod
    def get_refund_status(
        self, *, reference: str, provider_id: str | None, payment_provider_id: str
    ) -> RefundAnswer:
        """As `get_payment_status`, for a refund of the payment ``payment_provider_id``."""

    @abstractmethod
    def save_method(self, request: SaveMethod) -> SavedMethod:
        """Keep a token's card for later payments. Raises ProviderError where it is refused."""

    @abstractmethod
    def check_source(self, *, source: str, merchant_key: str = "") -> None:
        """Look whether a source could be charged now; nothing of it is used by the look.

        Raises ProviderError: with a code of `SOURCE_REFUSED` where it could not, with another one
        where the provider does not say.
        """

    @abstractmethod
    def verify_webhook_signature(self, raw_body: bytes, headers: Mapping[str, str]) -> None:
        """Check the raw bytes. Header names are compared without case.

        Raises SignatureInvalid or SignatureExpired.
        """

    @abstractmethod
    def parse_webhook_event(self, raw_body: bytes) -> ProviderEvent:
        """Read an event whose signature was checked. Raises PayloadInvalid."""

    @abstractmethod
    def list_settlement_lines(
        self, *, since: datetime, until: datetime, cursor: str = "", limit: int = 100
    ) -> SettlementPage:
        """What moved on our account there in ``[since, until)``. Raises ProviderError."""

    @abstractmethod
    def health(self) -> Health:
        """One cheap authenticated read. Never raises."""


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of a header whatever its case, or an empty text."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
