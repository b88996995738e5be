from __future__ import annotations

from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    name = "payments.checkout"
    default_auto_field = "django.db.models.BigAutoField"
