"""Provider accounts and routing for the platform's staff.

Accounts and rules are added and switched on or off here, by way of the services; secrets go in and
never come out. Nothing is deleted: payments point to what took them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminURLInputWidget

from core.admin import Operated, ReadOnlyAdmin, actor_of, allowed
from core.admin_filters import one_of
from core.admin_forms import ReasonForm, SecretText, staff_form
from core.admin_search import FoundById
from payments.providers import services
from payments.providers.models import ProviderAccount, RoutingRule
from payments.providers.registry import provider_names


class _StaffAdmin(Operated, FoundById):
    """Read by all staff, added to with the permission, changed by actions alone."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_operate_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The service has written the audit record; there is no second log."""


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no parameter at run time
    """What an account needs. The secrets are no fields of the model: they are sealed first."""

    provider = forms.ChoiceField(choices=lambda: [(name, name) for name in provider_names()])
    api_base = forms.URLField(
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
        help_text="Empty: the provider's own address.",
    )
    secret_key = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="The provider's secret API key of the same mode. It is not shown again.",
    )
    webhook_secret = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="What the provider signs its webhooks with. It is not shown again.",
    )

    class Meta:
        model = ProviderAccount
        fields = ("provider", "label", "livemode", "api_base", "timeout_s")


class KeyForm(ReasonForm):
    """A new API key."""

    secret_key = SecretText(
        label="New secret API key",
        max_length=500,
        help_text="Of the same mode, and of the same account at the provider. "
        "It is not shown again.",
    )
    field_order = ("secret_key", "reason")


class WebhookSecretForm(ReasonForm):
    """A new webhook secret, and how long the old one is accepted beside it."""

    secret = SecretText(
        label="New webhook secret", max_length=500, help_text="It is not shown again."
    )
    overlap_h = forms.IntegerField(
        label="Hours for which the old secret is accepted too",
        min_value=0,
        max_value=168,
        initial=24,
        help_text="0 ends it at once: for a secret that has leaked.",
    )
    field_order = ("secret", "overlap_h", "reason")


@admin.register(ProviderAccount)
class ProviderAccountAdmin(_StaffAdmin, ReadOnlyAdmin):
    list_display = ("label", "provider", "mode", "enabled", "health_line", "webhook_path")
    list_filter = (one_of("provider", provider_names), "livemode", "enabled")
    id_columns: ClassVar = {ProviderAccount.PREFIX: "pk"}
    search_fields = ("label",)
    search_help_text = "An account's id (pra_…) or a part of its label"
    exclude = ("credentials", "webhook_secrets", "key_tenant_id")
    readonly_fields = ("webhook_path",)
    actions: ClassVar[list[str]] = ["enable", "disable"]
    actions_detail: ClassVar[tuple[str, ...]] = ("replace_key", "replace_webhook_secret")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderAccount]:
        return ProviderAccount.objects.select_related("health")

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = AccountForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return (*AccountForm.Meta.fields, "secret_key", "webhook_secret")
        return super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Open the account by the service, which seals what is secret."""
        given = form.cleaned_data
        key, secret = given["secret_key"], given["webhook_secret"]
        made = services.account_create(
            actor=actor_of(request),
            provider=given["provider"],
            label=given["label"],
            livemode=given["livemode"],
            credentials={"secret_key": key} if key else {},
            webhook_secrets=[secret] if secret else [],
            api_base=given["api_base"],
            timeout_s=given["timeout_s"],
        )
        obj.id = made.id

    @admin.display(description="Mode")
    def mode(self, account: ProviderAccount) -> str:
        return "live" if account.livemode else "test"

    @admin.display(description="Health")
    def health_line(self, account: ProviderAccount) -> str:
        health = getattr(account, "health", None)
        if health is None:
            return "not checked yet"
        answered = f"{health.latency_ms} ms" if health.ok else health.message or "no answer"
        return f"{'ok' if health.ok else 'failing'}, {answered}"

    @admin.display(description="Webhook address")
    def webhook_path(self, account: ProviderAccount) -> str:
        return f"/v1/provider_webhooks/{account.provider}/{account.public_id}"

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        self._switch(request, queryset, enabled=False)

    def has_money_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Finance holds the keys to where the money is."""
        return allowed(request, "platform.money.write")

    @staff_form(
        "Replace API key",
        permission="money",
        form=KeyForm,
        text="Payments made under the old key go on under the new one. End the old key at the "
        "provider a minute after this.",
        icon="key",
    )
    def replace_key(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Replace the key by the service."""
        row = self.found(request, object_id)
        services.account_replace_key(actor=actor_of(request), account_id=row.id, **given)
        return self.done(request, object_id, f"{row.label} has a new API key.")

    @staff_form(
        "Replace webhook secret",
        permission="money",
        form=WebhookSecretForm,
        text="Both secrets are accepted until the overlap is over.",
        icon="vpn_key",
    )
    def replace_webhook_secret(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Replace the secret by the service."""
        row = self.found(request, object_id)
        services.account_replace_webhook_secret(
            actor=actor_of(request),
            account_id=row.id,
            secret=given["secret"],
            overlap=timedelta(hours=given["overlap_h"]),
            reason=given["reason"],
        )
        return self.done(request, object_id, f"{row.label} has a new webhook secret.")

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[ProviderAccount], *, enabled: bool
    ) -> None:
        for account_id in queryset.order_by("id").values_list("id", flat=True):
            services.account_set_enabled(
                actor=actor_of(request), account_id=account_id, enabled=enabled
            )


@admin.register(RoutingRule)
class RoutingRuleAdmin(_StaffAdmin):
    list_display = ("account", "currencies", "min_amount_minor", "max_amount_minor", "priority")
    list_filter = ("enabled",)
    list_select_related = ("account",)
    fields = ("account", "currencies", "min_amount_minor", "max_amount_minor", "priority")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add the rule by the service."""
        given = form.cleaned_data
        made = services.rule_create(
            actor=actor_of(request),
            account_id=given["account"].id,
            currencies=given["currencies"] or [],
            min_amount_minor=given["min_amount_minor"],
            max_amount_minor=given["max_amount_minor"],
            priority=given["priority"],
        )
        obj.id = made.id
