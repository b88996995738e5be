"""The web portal: the shell that every signed-in page stands in, and the pages that compose several rooms."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    label = "portal"
    verbose_name = "Portal"
