"""Where a payer passes on the way from a provider's challenge to the shop."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views import View

from core.web_address import web_origin
from payments.intents.returns import returned_reference
from payments.intents.services.returning import payer_returned


class PayerReturnView(View):
    """Learns what the challenge came to, then sends the payer on to the payment's `return_url`.

    The wait for the provider is that of any request; without its word the payer goes on, and the
    payment says `requires_action` until the provider's event.
    """

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, ticket: str) -> HttpResponse:
        reference = returned_reference(ticket)
        if reference is None:
            raise Http404
        address = payer_returned(reference)
        try:
            web_origin(address)
        except ValueError:
            raise Http404 from None
        response = HttpResponseRedirect(address)
        response["Referrer-Policy"] = "no-referrer"
        return response
