"""The web portal: the shell of every signed-in page, and the pages that compose several rooms."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    label = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from notifications.realtime import register_document_checker
        from payments.acceptance.portal.live import may_watch_payment

        register_document_checker("pay", may_watch_payment)
