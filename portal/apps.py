"""The web portal: the shell of every signed-in page, and the pages that compose several rooms."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    label = "portal"
    verbose_name = "Portal"
