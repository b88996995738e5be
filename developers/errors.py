"""Every error code of the API: what it means and what to do. `error.doc_url` leads here.

A test reads the codes out of the source and fails when one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.status import TransferStatus
from payments.intents.failures import is_our_fault
from payments.providers.adapters.sandbox.cards import DECLINES
from payments.providers.base import SOURCE_REFUSED


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: the HTTP status it comes with, and the advice."""

    code: str
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Codes that belong together, in the order in which people look for them."""

    title: str
    text: str
    codes: tuple[ErrorCode, ...]


def _group(
    title: str, text: str, status: int, codes: dict[str, str | tuple[int, str]]
) -> ErrorGroup:
    rows = []
    for code, entry in codes.items():
        own, advice = entry if isinstance(entry, tuple) else (status, entry)
        rows.append(ErrorCode(code, own, advice))
    return ErrorGroup(title, text, tuple(rows))


_REQUEST: Final[dict[str, str | tuple[int, str]]] = {
    "invalid_request": "The request cannot be carried out as it is; the message says why.",
    "json_invalid": "The body is not strict JSON: one object, UTF-8, no NaN, no NUL, 16 levels.",
    "content_type_unsupported": "Send the body as application/json, and say so or nothing.",
    "content_encoding_unsupported": "Send the body as it is, without compression.",
    "json_duplicate_key": "A key appears twice in one object, so its meaning is ambiguous.",
    "parameter_missing": "Send the parameter that `param` names.",
    "parameter_invalid": "The parameter that `param` names has the wrong form.",
    "parameter_unknown": "There is no such parameter here; check the spelling.",
    "parameter_null": "The parameter must not be null; leave it out instead.",
    "parameter_blank": "The parameter must not be empty.",
    "parameter_empty": "The list must hold something.",
    "parameter_required": "Send the parameter that `param` names.",
    "parameter_max_length": "The text or the list is too long.",
    "parameter_min_length": "The text is too short.",
    "parameter_max_value": "The number is too large.",
    "parameter_min_value": "The number is too small.",
    "parameter_max_string_length": "The number has too many digits.",
    "parameter_invalid_choice": "Use one of the values that the reference lists.",
    "parameter_not_a_dict": "Send an object.",
    "parameter_not_a_list": "Send a list.",
    "parameter_date": "Send a date and a time, not a date alone.",
    "parameter_overflow": "The time lies outside what a date can hold.",
    "parameter_make_aware": "Send the time with its offset, best in UTC.",
    "parameter_null_characters_not_allowed": "The text holds a NUL character.",
    "parameter_surrogate_characters_not_allowed": "The text holds half of a surrogate pair.",
    "cursor_invalid": "Pass `next_cursor` of the page before, unchanged, or leave `cursor` out.",
    "metadata_invalid": "At most 50 pairs of strings: keys of 1 to 40 letters, values up to 500.",
    "value_out_of_range": "A value does not fit its field.",
    "method_not_allowed": (405, "This address does not take this method; see the Allow header."),
    "body_timeout": (408, "The body did not arrive within ten seconds. Send it at once."),
    "request_timeout": (408, "The request did not arrive in time. Send it whole, at once."),
    "request_refused": "The request could not be read. Check its headers and its framing.",
    "header_repeated": "A header that has one value came twice. Send it once.",
    "payload_too_large": (413, "The body is larger than 256 KiB."),
    "statement_too_long": (413, "Ask for fewer days, or for CSV, which has no limit of lines."),
    "paper_not_made": (503, "The document was not made in time. Try again in a minute."),
    "bad_request": "The request could not be read at all, or names a host that is not served here.",
    "resource_missing": (404, "There is no such object in your account and mode."),
    "not_found": (404, "There is no such object in your account and mode."),
    "rate_limited": (429, "Wait for `Retry-After` seconds; spread the calls."),
    "too_many_attempts": (429, "Too many attempts in a short time. Wait, then try again."),
    "state_changed": (409, "Another request changed the object in the meantime. Read it again."),
    "conflict": (409, "The object's state does not allow this."),
}
_IDEMPOTENCY: Final[dict[str, str | tuple[int, str]]] = {
    "idempotency_key_missing": "Send an Idempotency-Key: a fresh UUID for each operation.",
    "idempotency_key_invalid": "Send 1 to 255 printable ASCII characters.",
    "idempotency_key_reused": (
        422,
        "The key was used for another request. Use a fresh key for each operation.",
    ),
    "idempotency_key_in_flight": (409, "The first request is at work. Ask again in a second."),
    "resource_deleted": (
        404,
        "What the key's first request made was deleted since. Use a fresh key.",
    ),
}
_CREDENTIALS: Final[dict[str, str | tuple[int, str]]] = {
    "authentication_required": "Send an API key: `Authorization: Bearer mk_sk_test_…`.",
    "authorization_scheme_unknown": "Use Bearer, or Basic with the key as user name.",
    "api_key_malformed": "The key's checksum does not match: it was not copied whole.",
    "api_key_invalid": "The key is unknown, expired or revoked.",
    "token_invalid": "The access token is not ours, or was changed.",
    "token_expired": "An access token: get a new one at `/v1/auth/refresh`. The token of a card "
    "(status 400): it is older than 15 minutes; make a new one.",
    "token_revoked": "The login behind the access token has ended: by a logout, a new password, a "
    "removed membership, a revoked client. Log in again.",
    "refresh_token_invalid": "Log in again.",
    "refresh_token_reused": "The token was used twice, so every refresh token of the login was "
    "revoked, and its access token with them. Log in again.",
    "client_invalid": "The client id or its secret is wrong.",
    "credentials_invalid": "The e-mail address or the password is wrong.",
    "otp_required": "Send the code of the authenticator app as `otp`.",
    "otp_invalid": "The code is wrong, too old or was used. Wait for the next one.",
    "otp_enrolment_required": "Enrol a second factor in the portal first.",
    "account_closed": "The account is closed.",
    "signature_missing": "One of the four signature headers is missing.",
    "signature_malformed": "A signature header does not have its form.",
    "signature_key_unknown": "No service has this key id.",
    "signature_expired": "The timestamp is more than 300 s off; check the clock.",
    "path_not_canonical": (
        400,
        "Spell the path of a signed request as it is signed: percent-encoded only where needed.",
    ),
    "signature_invalid": "Sign the path, the query and the body exactly as they are sent.",
    "signature_replayed": "Sign each request with a fresh nonce.",
}
_PERMISSION: Final[dict[str, str | tuple[int, str]]] = {
    "console_only": (403, "The platform's staff works in the console, not over the API."),
    "permission_missing": "The key or role lacks the permission that `details` names.",
    "permission_denied": "You do not have permission to do this.",
    "ip_not_allowed": "Add the address to the key's allowlist.",
    "merchant_not_active": "The merchant cannot take live payments yet; use test mode.",
    "merchant_required": "Use a key of a merchant.",
    "live_mode_not_allowed": "The role works in test mode only.",
    "no_membership": "You are a member of no account.",
    "not_a_reseller": "Only a reseller may do this.",
    "reseller_required": "Only a reseller may do this.",
    "tenant_required": "Act from a merchant's or a reseller's account.",
    "owner_required": "Only an owner may do this.",
    "scope_escalation": "A key cannot hand out what it does not hold.",
    "expiry_escalation": "A key makes none that lasts longer than itself.",
    "network_escalation": "A key makes none for addresses outside its own allowlist.",
    "csrf_failed": "The page was open too long, or cookies are blocked. Reload it.",
}
_PAYMENT: Final[dict[str, str | tuple[int, str]]] = {
    "amount_not_integer": "Send a JSON integer in minor units: 4890 for €48.90.",
    "amount_too_small": "The amount is below the minimum.",
    "amount_step": "The amount is between two steps in which the currency is settled.",
    "amount_too_large": "The amount is above what is left, or above the ceiling.",
    "currency_unknown": "Use an ISO 4217 code such as EUR.",
    "card_number_refused": "Card numbers go to `POST /v1/tokens` and nowhere else. A reference "
    "that reads like one is taken in other groups: `4111-111111-111111`.",
    "payment_method_missing": "Send `payment_method_token` or `payment_method`.",
    "payment_method_of_other_customer": "The method is saved for another customer.",
    "payment_method_ambiguous": "Send the token or the saved method, not both.",
    "payment_method_required": (402, "No card was given for this payment."),
    "payment_state_conflict": (409, "The payment's state does not allow this; read it again."),
    "already_refunded": "Nothing is left to refund.",
    "no_route": "No provider takes this currency and amount in this mode.",
    "provider_refused": (409, "The provider refused this step; the message says why."),
    "intent_state_conflict": (409, "The attempt's state does not allow this."),
    "checkout_session_state_conflict": (409, "The session is paid, expired or was canceled."),
    "card_fields_unavailable": (409, "This session cannot take a card here."),
    "payment_disputed": "A dispute holds, or has taken, what would be refunded.",
    "already_decided": (409, "This has already been decided."),
    "not_posted": "Only what was posted can be reversed.",
    "ledgers_differ": "Both accounts must be of one currency and mode.",
    "second_person_required": (403, "A second person must decide, not the one who proposed it."),
    "history_not_kept": "The account keeps no history.",
    "batch_too_large": "Send several batches.",
    "account_missing": (404, "There is no such ledger account."),
    "transfer_missing": (404, "There is no such transfer."),
    "tokens_test_mode_only": "In live mode the provider's own fields make the token.",
    "test_card_required": "Test mode takes the published test cards only.",
    "invalid_number": "The card number does not pass its check digit.",
    "invalid_cvc": "The security code has the wrong number of digits.",
    "invalid_expiry_month": "The month is 1 to 12.",
    "invalid_expiry_year": "The card has expired, or the year is too far ahead.",
    "url_invalid": "Give an absolute URL.",
}
_WEBHOOKS: Final[dict[str, str | tuple[int, str]]] = {
    "url_not_allowed": "Webhooks go to public https addresses; redirects are not followed.",
    "event_unknown": "The catalogue of events lists what there is.",
    "too_many_endpoints": (409, "Delete an endpoint first."),
    "endpoint_disabled": (409, "Enable the endpoint first."),
    "no_endpoint": (409, "No enabled endpoint takes this event."),
}
_ACCOUNT: Final[dict[str, str | tuple[int, str]]] = {
    "api_key_not_active": (409, "Only a key that is in use can be rotated."),
    "kind_unknown": "Kinds are `sk`, `rk` and `pk`.",
    "scope_unknown": "The permission is unknown, or this kind of key cannot hold it.",
    "scopes_missing": "A restricted key needs at least one permission.",
    "expiry_past": "Give a time in the future.",
    "network_invalid": "Give addresses or networks such as 203.0.113.0/24.",
    "overlap_out_of_range": "The overlap is between nothing and seven days.",
    "name_invalid": "Give a name.",
    "name_missing": "Give a name.",
    "email_invalid": "Give an e-mail address.",
    "role_unknown": "Roles are owner, admin, developer and viewer.",
    "password_weak": "Choose a longer password.",
    "country_unknown": "Use an ISO 3166-1 code such as US.",
    "statement_descriptor_invalid": "5 to 22 Latin letters and digits, at least one letter.",
    "fee_range": "Fees lie between 0 and 10,000 basis points.",
    "status_unknown": "Use one of the statuses that the reference lists.",
    "setting_unknown": "This cannot be changed here.",
    "provider_key_mode": "Test accounts take test keys, live accounts live keys.",
    "last_owner": (409, "Make another member an owner first."),
    "owner_invited": (409, "Withdraw the open invitation of an owner first."),
    "already_member": (409, "The person is a member already."),
    "accepted_already": (409, "The invitation was accepted."),
    "agent_not_possible": (409, "Only a reseller's member who is no owner can be an agent."),
    "too_many_invitations": (409, "Revoke an open invitation first."),
    "login_required": (409, "Log in, then open the link again."),
    "wrong_account": (409, "The invitation is for another person."),
    "own_account": (409, "Have a colleague do it."),
    "tenant_closed": (409, "A closed account stays closed."),
    "tenant_incomplete": (409, "The message lists what is missing for live payments."),
    "tenant_status_conflict": (409, "Another status has to come before this one."),
    "invitation_invalid": (404, "The invitation was used, withdrawn or is too old."),
    "reset_link_invalid": (404, "The link was used or is too old."),
    "sign_in_link_invalid": (404, "The link was used or is too old."),
    "invited_already": (429, "The address was invited within a day. Wait for `Retry-After`."),
    "mail_sent_already": (429, "The address gets no more mails today. Wait for `Retry-After`."),
    "staff_account_needed": (
        409,
        "The platform's staff have accounts of their own. Invite another address of this person.",
    ),
    "person_protected": (403, "Your role does not allow this for this person."),
    "proposed_already": (409, "A second person has to confirm the open proposal first."),
    "proposal_expired": (409, "The proposal waited for too long. Propose it again."),
    "decided_already": (409, "The proposal was decided."),
    "proposer_gone": (409, "The person who proposed it is no longer allowed to."),
    "role_unchanged": (409, "The person has this role."),
}
_SERVER: Final[dict[str, str | tuple[int, str]]] = {
    "internal_error": "Our fault. Repeat with the same key, and tell us the request id.",
    "service_unavailable": (503, "Away for a moment. Repeat with the same key."),
    "busy": (503, "Too many requests wait already. Repeat with the same key after `Retry-After`."),
    "deadline_exceeded": (
        503,
        "The request took too long and was given up. Repeat with the same key.",
    ),
    "database_unavailable": (503, "Nothing was lost. Repeat with the same key."),
}
_BOOKS: Final[dict[str, str | tuple[int, str]]] = {
    status.name.lower(): status.words for status in TransferStatus if not status.ok
}
_PROVIDER: Final[dict[str, str | tuple[int, str]]] = {
    "token_already_used": (400, "A card's token is good for one use; make a new one."),
    "invalid_amount": "The provider takes amounts of this currency in larger steps only.",
    "authorization_expired": "The hold was not captured in time and was released.",
    "authentication_expired": "The payer did not finish the authentication; nothing was charged.",
    "charge_already_captured": (409, "The payment has been captured; read it again."),
    "charge_already_refunded": "The payment has been refunded in full.",
    "payment_unexpected_state": (409, "The provider holds the payment in another state."),
    "currency_mismatch": (409, "Capture and refund in the currency of the payment."),
    "refund_not_cancelable": (409, "A refund that was sent cannot be called back."),
    "refund_returned": "The payer's bank sent the refund back; our staff looks at it.",
    "refunded_at_provider": "A refund made at the provider could not be booked; our staff looks at "
    "it.",
    "provider_disagrees": "The provider reported another amount or currency than was asked; our "
    "staff looks at it.",
    "disputed_in_another_currency": "A dispute could not be booked; our staff looks at it.",
    "dispute_reopened": "A dispute that had ended is open again; our staff looks at it.",
    "captured_too_much": "The provider captured more than was asked; our staff gives it back.",
    "captured_after_end": "The provider captured an attempt that had ended; our staff looks at it.",
    "authorized_after_end": "The provider holds money for an attempt that had ended; the hold is "
    "being released.",
    "provider_never_received": "The provider never got the payment. Nothing was charged.",
    "provider_unavailable": "A fault on our side of the provider, and not about the card. Nothing "
    "was charged; make a new attempt later.",
    "provider_credentials": "The provider does not take our key. Shown as `provider_unavailable`.",
    "provider_unreachable": (503, "The provider gave no answer. Shown as `provider_unavailable`."),
    "provider_busy": (
        503,
        "The provider takes no calls for the moment, nothing was sent. Wait for `Retry-After`.",
    ),
    "provider_not_ready": (
        503,
        "The provider was asked and took nothing; nothing happened. Wait for `Retry-After`.",
    ),
    "provider_rate_limited": (503, "The provider is limiting our requests. Try again in a moment."),
}
_DECLINED: Final[dict[str, str | tuple[int, str]]] = {
    **{code: text for code, text in DECLINES.items() if code != "authentication_required"},
    "refund_failed": "The provider refused the refund; the amount is back in the balance.",
}

GROUPS: Final = (
    _group("Requests", "Form, parameters, limits.", 400, _REQUEST),
    _group("Idempotency", "One effect per key, however often it is sent.", 400, _IDEMPOTENCY),
    _group("Credentials", "Who is calling.", 401, _CREDENTIALS),
    _group("Permissions", "What the caller may do.", 403, _PERMISSION),
    _group("Payments", "Amounts, cards, states.", 400, _PAYMENT),
    _group(
        "Providers",
        "What a provider answered that is no decline: it is the `failure.code` of a payment or an "
        "attempt, or the code of the error.",
        402,
        _PROVIDER,
    ),
    _group(
        "Declines",
        "The card's bank said no: `error.type` is `card_error`, and the failed payment is in "
        "`error.details.payment`. A live bank has more codes than these.",
        402,
        _DECLINED,
    ),
    _group(
        "Books",
        "The ledger did not book a movement, and nothing that belongs to it; `error.details` names "
        "the transfer.",
        409,
        _BOOKS,
    ),
    _group("Webhooks and events", "Where events go.", 400, _WEBHOOKS),
    _group("Account", "Keys, people, merchants.", 400, _ACCOUNT),
    _group("Our side", "Nothing that you did.", 500, _SERVER),
)


def known_codes() -> frozenset[str]:
    """Every code that has an anchor in the API reference."""
    return frozenset(row.code for group in GROUPS for row in group.codes)


def failure_codes() -> frozenset[str]:
    """What `failure.code` of a payment, refund or attempt says; a live bank has more of them."""
    codes = {*_PROVIDER, *_DECLINED, *DECLINES, *SOURCE_REFUSED}
    return frozenset(code for code in codes if not is_our_fault(code))
