"""The Django app of the tenants room."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Registers the models; AUTH_USER_MODEL is ``tenants.User``."""

    name = "tenants"
    label = "tenants"
    verbose_name = "Tenants and people"

    def ready(self) -> None:
        """Subscribe to our own events; register the sealed columns and the retention rules.

        Mails go out after the commit.
        """
        from core import outbox
        from core.retention import Rule, register_rule
        from core.rotation import register_sealed_column
        from tenants import events, tasks

        outbox.subscribe(events.INVITATION_CREATED.name, tasks.on_invitation_created)
        outbox.subscribe(events.PASSWORD_RESET_REQUESTED.name, tasks.on_password_reset_requested)
        outbox.subscribe(events.SIGN_IN_LINK_REQUESTED.name, tasks.on_sign_in_link_requested)
        # An authenticator's secret is bound to its person, not to its own row.
        register_sealed_column(
            table="tenants_totpdevice", column="secret_sealed", tenant=None, pk="user_id"
        )
        register_sealed_column(table="tenants_servicecaller", column="secret_sealed", tenant=None)
        # A used token is kept as long as its family: its reuse reveals a theft.
        register_rule(Rule("tenants_refreshtoken", "expires_at < clock_timestamp()"))
        register_rule(Rule("tenants_knownplace", "expires_at < clock_timestamp()", kept=None))
        register_rule(Rule("tenants_signinlink", "expires_at < clock_timestamp()", kept=None))
        register_rule(Rule("tenants_passwordreset", "expires_at < clock_timestamp()", kept=None))
        register_rule(
            Rule(
                "django_session",
                "expire_date < clock_timestamp()",
                kept=None,
                pk="session_key",
                scoped=False,
            )
        )
