from __future__ import annotations

from django.conf import settings
from django.urls import path

from payments.acceptance import api as views

api = [
    path("tokens", views.TokensView.as_view(), name="tokens"),
    path("customers", views.CustomersView.as_view(), name="customers"),
    path("customers/<str:customer_id>", views.CustomerView.as_view(), name="customer"),
    path("payment_methods", views.PaymentMethodsView.as_view(), name="payment-methods"),
    path(
        "payment_methods/<str:payment_method_id>",
        views.PaymentMethodView.as_view(),
        name="payment-method",
    ),
    path("payments", views.PaymentsView.as_view(), name="payments"),
    path("payments/<str:payment_id>", views.PaymentView.as_view(), name="payment"),
    path(
        "payments/<str:payment_id>/confirm",
        views.PaymentConfirmView.as_view(),
        name="payment-confirm",
    ),
    path(
        "payments/<str:payment_id>/capture",
        views.PaymentCaptureView.as_view(),
        name="payment-capture",
    ),
    path(
        "payments/<str:payment_id>/cancel",
        views.PaymentCancelView.as_view(),
        name="payment-cancel",
    ),
    path("refunds", views.RefundsView.as_view(), name="refunds"),
    path("refunds/<str:refund_id>", views.RefundView.as_view(), name="refund"),
]

if settings.BENCH_FLOOR:
    from payments.acceptance.api.floor import FloorView

    api.append(path("_bench/floor", FloorView.as_view(), name="bench-floor"))
