from __future__ import annotations

from django.urls import path

from payments.checkout import api as views
from payments.checkout.pages import (
    CheckoutCancelView,
    CheckoutPageView,
    CheckoutPaymentView,
    CheckoutReturnedView,
    CheckoutStatusView,
    CheckoutTokensView,
)

api = [
    path("checkout/sessions", views.CheckoutSessionsView.as_view(), name="checkout-sessions"),
    path(
        "checkout/sessions/<str:session_id>",
        views.CheckoutSessionView.as_view(),
        name="checkout-session",
    ),
    path(
        "checkout/sessions/<str:session_id>/expire",
        views.CheckoutSessionExpireView.as_view(),
        name="checkout-session-expire",
    ),
]

_PAGE = "pay/<str:session_id>/<str:secret>"
pages = [
    path("pay/returned", CheckoutReturnedView.as_view(), name="checkout-returned"),
    path(_PAGE, CheckoutPageView.as_view(), name="checkout-page"),
    path(f"{_PAGE}/status", CheckoutStatusView.as_view(), name="checkout-status"),
    path(f"{_PAGE}/tokens", CheckoutTokensView.as_view(), name="checkout-tokens"),
    path(f"{_PAGE}/payment", CheckoutPaymentView.as_view(), name="checkout-payment"),
    path(f"{_PAGE}/cancel", CheckoutCancelView.as_view(), name="checkout-cancel"),
]
