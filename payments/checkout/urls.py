from __future__ import annotations

from django.urls import path

from payments.checkout import api as views
from payments.checkout import portal

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
    path("pay/returned", portal.CheckoutReturnedView.as_view(), name="checkout-returned"),
    path(_PAGE, portal.CheckoutPageView.as_view(), name="checkout-page"),
    path(f"{_PAGE}/status", portal.CheckoutStatusView.as_view(), name="checkout-status"),
    path(f"{_PAGE}/tokens", portal.CheckoutTokensView.as_view(), name="checkout-tokens"),
    path(f"{_PAGE}/payment", portal.CheckoutPaymentView.as_view(), name="checkout-payment"),
    path(f"{_PAGE}/cancel", portal.CheckoutCancelView.as_view(), name="checkout-cancel"),
]
