"""What the OpenAPI document says beyond the views: credentials, tags, examples, webhooks.

`config/openapi.json` names the hooks. The document is generated from the code, committed as
`docs/openapi.json` and compared by `./dev check`.
"""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from core.api.schema import enveloped
from core.hmac_auth import HEADER_KEY_ID
from core.ids import TEXT_PATTERN
from core.shapes import example_id
from developers.errors import failure_codes, known_codes
from developers.examples import EXAMPLES
from developers.webhooks import add_webhooks
from notifications.patterns import known_patterns

_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "mk_sk_test_…",
        "description": (
            "`Authorization: Bearer mk_sk_test_…`. `sk` keys are secret and belong on your server; "
            "`rk` keys carry chosen permissions; `pk` keys may appear in a page and can only make "
            "tokens. The key decides the mode: `test` and `live` never mix."
        ),
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The API key as the user name, with an empty password (`curl -u key:`).",
    },
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": (
            "An access token of five minutes from `POST /v1/auth/login` (people) or "
            "`POST /v1/client/session` (machine clients; OAuth 2.0 libraries post a form to "
            "`/auth/token`)."
        ),
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": HEADER_KEY_ID,
        "description": (
            "For trusted services and devices: an HMAC-SHA256 over version, key id, timestamp, "
            "nonce, method, host, path, query, content type, Idempotency-Key and the SHA-256 of "
            "the body, joined by newlines. Sent in `X-Merchantry-Key-Id`, "
            "`X-Merchantry-Timestamp`, `X-Merchantry-Nonce` and `X-Merchantry-Signature`; good "
            "for ±300 s and for one use."
        ),
    },
}
_SIGNED_ONLY: Final = frozenset({"Intents"})

TAGS: Final[dict[str, str]] = {
    "Payments": (
        "Money in. A payment goes from `pending` over `processing` to `completed`, `failed` or "
        "`requires_action`; it can be captured at once or later, in full or in part."
    ),
    "Refunds": "Money back, in part or whole, never more than was captured.",
    "Tokens": "A card becomes a token in the payer's browser, with a publishable key.",
    "Checkout": "A hosted page that takes the card, runs 3-D Secure and shows the result.",
    "Customers": "Who pays, and the payment methods they have saved.",
    "Ledger": "The books: your balance, the accounts behind it, and every transfer between them.",
    "Events": "Everything that happened in the last 30 days, in the words of the webhooks.",
    "Webhooks": "Where events are sent, what became of each delivery, and how to repeat them.",
    "Merchants": "A reseller's merchants.",
    "Team": "The people of your account and the invitations that are open.",
    "API keys": "Make, rotate and revoke the keys of your account.",
    "Authentication": "Access tokens for people and for machine clients.",
    "Intents": "One attempt to move money, for trusted services that sign their requests.",
    "Platform": "The root of the API and this document.",
}

_PREFIXES: Final[dict[str, tuple[str, str]]] = {
    "payment_id": ("pay", "The payment."),
    "refund_id": ("ref", "The refund."),
    "customer_id": ("cus", "The customer."),
    "payment_method_id": ("pm", "The saved payment method."),
    "event_id": ("evt", "The event."),
    "endpoint_id": ("we", "The webhook endpoint."),
    "delivery_id": ("whd", "The delivery."),
    "key_id": ("key", "The API key."),
    "member_id": ("mem", "The membership."),
    "invitation_id": ("inv", "The invitation."),
    "merchant_id": ("mer", "The merchant."),
    "intent_id": ("int", "The intent."),
    "account_id": ("acc", "The ledger account."),
    "transfer_id": ("trf", "The transfer."),
    "session_id": ("cs", "The checkout session."),
}

#: What a filter means where its view does not say more.
_QUERY: Final[dict[str, str]] = {
    "customer": "Of this customer (`cus_…`).",
    "email": "Of this e-mail address.",
    "reference": "With this reference of yours, exactly.",
    "status": "In this state.",
}

#: A list of values that later versions may lengthen, as `core.shapes.open_list` writes it.
_OPEN: Final = "x-extensible-enum"


class RequestAuthenticationScheme(OpenApiAuthenticationExtension):
    """Any one of the doors that `tenants.authentication` opens; the portal's cookie is its own."""

    target_class = "tenants.authentication.RequestAuthentication"
    name = list(_SCHEMES)

    def get_security_requirement(self, auto_schema: Any) -> Any:
        signed_only = _SIGNED_ONLY & set(auto_schema.get_tags())
        return [{name: []} for name in (["signature"] if signed_only else _SCHEMES)]

    def get_security_definition(self, auto_schema: Any) -> Any:
        return list(_SCHEMES.values())


def only_the_api(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Pre-processing hook: addresses outside /v1/ are aliases or pages."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/v1/")]


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Post-processing hook: tags in the order of the guide, path parameters, examples, webhooks."""
    used = set()
    for operations in result["paths"].values():
        for operation in operations.values():
            used |= set(operation["tags"])
            for parameter in operation.get("parameters", []):
                _describe_path_parameter(parameter)
                if parameter["in"] == "query" and parameter["name"] in _QUERY:
                    parameter.setdefault("description", _QUERY[parameter["name"]])
            _add_examples(operation)
    result["tags"] = [
        {"name": name, "description": TAGS.get(name, "")}
        for name in [*TAGS, *sorted(used - set(TAGS))]
        if name in used
    ]
    add_webhooks(result)
    _list_open_values(result)
    _forget_generator_marks(result)
    result["servers"] = [{"url": "/", "description": "The host that served this document."}]
    return result


def _list_open_values(result: dict[str, Any]) -> None:
    """Name the values of codes and event types whose place in the document is no shape's field."""
    fields = {
        name: schema["properties"]
        for name, schema in result["components"]["schemas"].items()
        if "properties" in schema
    }
    fields["Error"]["code"][_OPEN] = sorted(known_codes())
    fields["Failure"]["code"][_OPEN] = sorted(failure_codes())
    fields["EndpointRequest"]["events"]["items"][_OPEN] = known_patterns()
    fields["PatchedEndpointUpdateRequest"]["events"]["items"][_OPEN] = known_patterns()
    for parameter in result["paths"]["/v1/events"]["get"]["parameters"]:
        if parameter["name"] == "type":
            parameter["schema"][_OPEN] = known_patterns()


def _forget_generator_marks(node: Any) -> None:
    """Take out what drf-spectacular leaves for its own enum hook, which we do not use."""
    if isinstance(node, dict):
        node.pop("x-spec-enum-id", None)
        for value in node.values():
            _forget_generator_marks(value)
    elif isinstance(node, list):
        for value in node:
            _forget_generator_marks(value)


def _describe_path_parameter(parameter: dict[str, Any]) -> None:
    known = _PREFIXES.get(parameter["name"])
    if parameter["in"] == "path" and known is not None:
        prefix, text = known
        parameter["schema"] = {"type": "string", "pattern": f"^{prefix}_{TEXT_PATTERN}$"}
        parameter["description"] = text
        parameter["example"] = example_id(prefix)


def _add_examples(operation: dict[str, Any]) -> None:
    example = EXAMPLES.get(operation["operationId"])
    if example is None:
        return
    if example.request is not None:
        for media in operation.get("requestBody", {}).get("content", {}).values():
            media["examples"] = {example.title: {"value": example.request}}
    for status, response in operation["responses"].items():
        if status.startswith("2") and example.response is not None:
            for media in response.get("content", {}).values():
                media["examples"] = {example.title: {"value": enveloped(example.response)}}
