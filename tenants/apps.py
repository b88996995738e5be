"""The Django app of the tenants room."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Registers the models; AUTH_USER_MODEL is ``tenants.User``."""

    name = "tenants"
    label = "tenants"
    verbose_name = "Tenants and people"

    def ready(self) -> None:
        """Subscribe to our own events: mails go out after the commit."""
        from core import outbox
        from tenants import tasks

        outbox.subscribe("invitation.created", tasks.on_invitation_created)
        outbox.subscribe("user.password_reset_requested", tasks.on_password_reset_requested)
