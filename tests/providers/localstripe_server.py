"""localstripe with what Stripe has and it lacks; run as ``python localstripe_server.py PORT``.

localstripe keeps the state of payments, and is not ours. Added around it: parameters that it does
not know are dropped, idempotency keys are honoured, its objects carry the amounts that Stripe's
do, and it refuses as Stripe does: refunds above the capture, captures after a cancellation, another
customer's card. ``POST /_config/fault/KIND`` spoils the next request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import Any

from aiohttp import web
from localstripe import resources
from localstripe.errors import UserError
from localstripe.server import app
from multidict import MultiDict, MultiDictProxy

# State is kept in memory: the pickle in the temporary folder may belong to somebody else.
resources.Store.dump_to_disk = lambda self: None

DROPPED = {
    "/v1/payment_intents": {
        "created",
        "description",
        "return_url",
        "statement_descriptor_suffix",
    },
    "/v1/refunds": {"reason"},
    "/v1/balance_transactions": {"created"},
}
FAULTS: list[str] = []
ANSWERS: dict[str, tuple[str, Any]] = {}
HANG_S = 20.0


def _captured(charge: Any) -> int:
    if charge.status != "succeeded" or not charge.captured:
        return 0
    return int(getattr(charge, "_captured_amount", charge.amount))


def _received(intent: Any) -> int:
    return _captured(intent.latest_charge) if intent.latest_charge else 0


def _capture(self: Any, amount: Any, on_success: Any = None) -> None:
    if resources.PaymentIntent._api_retrieve(self.payment_intent).status == "canceled":
        raise UserError(400, "It is canceled.", {"code": "payment_intent_unexpected_state"})
    before = getattr(self, "_captured_amount", 0)
    # Known before the capture, which sends the webhook.
    self._captured_amount = int(self.amount if amount is None else amount)
    try:
        _real_capture(self, amount, on_success)
    except UserError:
        self._captured_amount = before
        raise


def _refund(self: Any, *args: Any, **data: Any) -> None:
    charge_id = data.get("charge")
    if data.get("payment_intent"):
        charge_id = resources.PaymentIntent._api_retrieve(data["payment_intent"]).latest_charge.id
    charge = resources.Charge._api_retrieve(charge_id)
    if int(data.get("amount") or charge.amount) > charge.amount - charge.amount_refunded:
        refusal = {"code": "charge_already_refunded"}
        raise UserError(400, "Refund amount is greater than unrefunded amount.", refusal)
    _real_refund(self, *args, **data)


def _intent(self: Any, *args: Any, **data: Any) -> None:
    method = data.get("payment_method")
    owner = resources.PaymentMethod._api_retrieve(method).customer if method else None
    if owner and owner != data.get("customer"):
        raise UserError(400, "The payment method belongs to a customer: include the customer.")
    _real_intent(self, *args, **data)


_real_intent = resources.PaymentIntent.__init__
_real_capture = resources.Charge._capture
_real_refund = resources.Refund.__init__
resources.Charge._capture = _capture
resources.Charge.amount_captured = property(_captured)
resources.PaymentIntent.amount_received = property(_received)
resources.PaymentIntent.__init__ = _intent
resources.Refund.__init__ = _refund


def _dropped(path: str) -> set[str]:
    return DROPPED.get(path, set())


async def _search(request: web.Request) -> web.Response:
    wanted = request.query["query"].split("']:'", 1)[1].removesuffix("'")
    found = [
        item._export(None)
        for key, item in resources.store.items()
        if key.startswith("payment_intent:") and item.metadata.get("reference") == wanted
    ]
    return web.json_response({"object": "search_result", "data": found, "has_more": False})


async def _carry_out(request: web.Request, handler: Any) -> web.StreamResponse:
    return_url = ""
    if request.method == "POST":
        given = await request.post()
        return_url = str(given.get("return_url", ""))
        kept = MultiDict((k, v) for k, v in given.items() if k not in _dropped(request.path))
        request._post = MultiDictProxy(kept)
    elif request.path == "/v1/payment_intents/search":
        return await _search(request)
    elif any(key.split("[")[0] in _dropped(request.path) for key in request.query):
        dropped = _dropped(request.path)
        asked = [(k, v) for k, v in request.query.items() if k.split("[")[0] not in dropped]
        request = request.clone(rel_url=request.rel_url.with_query(asked))
    try:
        response: web.StreamResponse = await handler(request)
    except UserError as refused:
        _add_intent(refused)
        raise
    if return_url:
        response = _redirecting(response, return_url)
    return response


def _add_intent(refused: UserError) -> None:
    """Stripe sends the failed payment along with a decline."""
    charge = resources.store.get(f"charge:{refused.body['error'].get('charge')}")
    if refused.code == 402 and charge is not None and charge.payment_intent:
        intent = resources.PaymentIntent._api_retrieve(charge.payment_intent)
        exported = intent._export(["payment_method"])
        refused.body["error"] |= {"type": "card_error", "payment_intent": exported}


def _redirecting(response: Any, return_url: str) -> Any:
    """With a return address, Stripe's challenge is a page instead of a call of its script."""
    body = json.loads(response.text)
    intent = resources.store.get(f"payment_intent:{body.get('id')}")
    if intent is None or not intent.next_action:
        return response
    page = {"url": f"https://hooks.stripe.com/3d_secure/{intent.id}", "return_url": return_url}
    intent.next_action = {"type": "redirect_to_url", "redirect_to_url": page}
    return web.json_response({**body, "next_action": intent.next_action})


async def _once(request: web.Request, handler: Any) -> web.StreamResponse:
    key = request.headers.get("Idempotency-Key", "")
    if request.method != "POST" or not key:
        return await _carry_out(request, handler)
    said = hashlib.sha256(request.path.encode() + await request.read()).hexdigest()
    if key in ANSWERS:
        before, answer = ANSWERS[key]
        if before != said:
            raise web.HTTPBadRequest(
                text=json.dumps({"error": {"type": "idempotency_error", "message": "Other."}}),
                content_type="application/json",
            )
        if isinstance(answer, UserError):
            raise answer
        return web.Response(text=answer, content_type="application/json")
    try:
        response: Any = await _carry_out(request, handler)
    except UserError as refused:
        ANSWERS[key] = (said, refused)
        raise
    ANSWERS[key] = (said, response.text)
    return response


@web.middleware
async def like_stripe(request: web.Request, handler: Any) -> web.StreamResponse:
    fault = FAULTS.pop() if FAULTS and request.path.startswith("/v1/") else ""
    if fault == "lose_request":
        _hang_up(request)
    if fault == "rate_limit":
        raise UserError(429, "Too many requests.", {"code": "rate_limit"})
    if fault == "bad_key":
        raise UserError(401, "Invalid API Key provided.")
    response = await _once(request, handler)
    if fault == "lose_answer":
        _hang_up(request)
    elif fault == "time_out":
        await asyncio.sleep(HANG_S)
    elif fault == "garble":
        return web.Response(text="<html>Bad gateway", content_type="text/html")
    elif fault == "wrong_shape":
        return web.json_response({"object": "payment_intent", "status": 7})
    elif fault == "server_error":
        raise UserError(500, "An unknown error occurred.")
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


async def _set_fault(request: web.Request) -> web.Response:
    FAULTS[:] = [request.match_info["kind"]]
    return web.Response()


app.middlewares.append(like_stripe)
app.router.add_post("/_config/fault/{kind}", _set_fault)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
