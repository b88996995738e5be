"""What the guide shows beside its prose: test cards and snippets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from payments.providers.adapters.sandbox.cards import TEST_CARDS

_BEHAVIOUR: Final = {
    "succeeds": "Succeeds",
    "processing_then_settles": "Stays `processing`, settles later",
    "three_d_secure": "Asks for 3-D Secure",
    "three_d_secure_then_declined": "Asks for 3-D Secure, is then declined",
    "disputed": "Succeeds, is disputed after settling",
    "available_at_once": "Succeeds, available at once",
    "times_out_before_charging": "The provider times out before charging",
    "times_out_after_charging": "The provider times out after charging",
}

VERIFY_PYTHON: Final = '''\
import base64, hashlib, hmac, time

def verify(secret: str, headers: dict[str, str], body: bytes) -> None:
    """Raise ValueError unless the webhook is ours and fresh."""
    sent_at = int(headers["webhook-timestamp"])
    if abs(time.time() - sent_at) > 300:
        raise ValueError("too old")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    for part in headers["webhook-signature"].split():
        version, _, given = part.partition(",")
        if version == "v1" and hmac.compare_digest(given.encode(), expected):
            return
    raise ValueError("wrong signature")
'''

VERIFY_NODE: Final = """\
import { createHmac, timingSafeEqual } from "node:crypto";

// body is the raw Buffer, before any JSON parser has touched it.
export function verify(secret, headers, body) {
  const sentAt = Number(headers["webhook-timestamp"]);
  if (!(Math.abs(Date.now() / 1000 - sentAt) <= 300)) throw new Error("too old");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${sentAt}.`)
    .update(body)
    .digest();
  for (const part of headers["webhook-signature"].split(" ")) {
    const [version, given] = part.split(",");
    const bytes = Buffer.from(given ?? "", "base64");
    const fits = version === "v1" && bytes.length === expected.length;
    if (fits && timingSafeEqual(bytes, expected)) return;
  }
  throw new Error("wrong signature");
}
"""


def snippets(base_url: str) -> dict[str, str]:
    """The commands of the guide, for this installation."""
    return {
        "token": (
            f"export BASE={base_url}\n"
            "export PK=mk_pk_test_…   # publishable: may appear in a page\n"
            "export SK=mk_sk_test_…   # secret: stays on your server\n\n"
            "curl $BASE/v1/tokens \\\n"
            '  -H "Authorization: Bearer $PK" \\\n'
            '  --json \'{"card": {"number": "4242424242424242",\n'
            '                    "exp_month": 12, "exp_year": 2034, "cvc": "123"}}\''
        ),
        "pay": (
            "curl $BASE/v1/payments \\\n"
            '  -H "Authorization: Bearer $SK" \\\n'
            '  -H "Idempotency-Key: $(uuidgen)" \\\n'
            '  --json \'{"amount": 4890, "currency": "EUR", "confirm": true,\n'
            '           "payment_method_token": "tok_…", "reference": "order-1042",\n'
            '           "return_url": "https://shop.example/thanks"}\''
        ),
        "refund": (
            "curl $BASE/v1/refunds \\\n"
            '  -H "Authorization: Bearer $SK" \\\n'
            '  -H "Idempotency-Key: $(uuidgen)" \\\n'
            '  --json \'{"payment": "pay_…", "amount": 1500}\''
        ),
        "books": (
            'curl "$BASE/v1/payments/pay_…?expand=events,ledger" -H "Authorization: Bearer $SK"\n'
            'curl $BASE/v1/balance -H "Authorization: Bearer $SK"'
        ),
        "webhook": (
            "curl $BASE/v1/webhook_endpoints \\\n"
            '  -H "Authorization: Bearer $SK" \\\n'
            '  -H "Idempotency-Key: $(uuidgen)" \\\n'
            '  --json \'{"url": "https://shop.example/webhooks",\n'
            '           "events": ["payment.*", "refund.*"]}\''
        ),
    }


@dataclass(frozen=True, slots=True)
class CardRow:
    """A test card as the guide lists it."""

    number: str
    brand: str
    text: str
    code: str


def _grouped(number: str) -> str:
    """A card number as it is printed: American Express in 4, 6 and 5 digits, others in fours."""
    if len(number) == 15:
        return f"{number[:4]} {number[4:10]} {number[10:]}"
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def test_cards() -> list[CardRow]:
    """Every published test card; `code` is the decline it answers with."""
    rows = []
    for card in TEST_CARDS.values():
        code = card.decline.code if card.decline else ""
        text = _BEHAVIOUR.get(card.behaviour, "Declined")
        number = _grouped(card.number)
        rows.append(CardRow(number, card.brand.capitalize(), text, code))
    return rows
