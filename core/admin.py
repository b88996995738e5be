"""The base classes of every page in the admin, and the kernel's own pages.

Money, ledger and audit are read-only here (docs/house-rules.md): what staff may change, they change
through an action that calls a service. A class says which permission (tenants/policies.py) opens
it; the staff scope and ``request.actor`` come from ``tenants.middleware.AdminScopeMiddleware``.

    @admin.register(Payment)
    class PaymentAdmin(ReadOnlyAdmin):
        list_display = ("public_id", "status", "shown_amount", "created_at")
        list_filter = ("status", "livemode")
        actions_detail = ("resend",)

        @staff_action("Resend", permission="resend", question="The customer gets it again.")
        def resend(self, request, object_id):
            event_resend(actor=actor_of(request), ...)
            return self.done(request, object_id, "Queued again.")

        def has_resend_permission(self, request, object_id=None):
            return allowed(request, "events.resend")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar, Final, TypeVar, get_args
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.db.models.fields import BooleanField, Field
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action as unfold_action
from unfold.decorators import display as unfold_display
from unfold.paginator import InfinitePaginator

from core import ids
from core.admin_filters import one_of, typed
from core.admin_search import FoundById, of_request
from core.context import Actor, ActorKind
from core.errors import PermissionDenied
from core.inbox import inbox_release
from core.models import AuditRecord, InboxMessage, OutboxEvent, RequestLog
from core.money import format_money
from core.relay import event_release
from core.requests import ACTOR

STAFF = "platform.staff"
OPERATE = "platform.operations.write"
Column = TypeVar("Column", bound=Callable[..., Any])
ActionView = Callable[[Any, HttpRequest, str], HttpResponse]


def actor_of(request: HttpRequest) -> Actor:
    """Who works in the admin. Raises PermissionDenied outside the staff scope."""
    actor = ACTOR.find(request)
    if actor is None:
        raise PermissionDenied("The admin is open to the platform's staff only.")
    return actor


def allowed(request: HttpRequest, permission: str) -> bool:
    """Whether the person at the admin holds a permission."""
    actor = ACTOR.find(request)
    return actor is not None and permission in actor.scopes


def display(
    *, description: str, label: Mapping[str, str] | None = None
) -> Callable[[Column], Column]:
    """Name a column; ``label`` colours its words (success, info, warning, danger)."""
    decorated: Callable[[Column], Column] = unfold_display(description=description, label=label)
    return decorated


def staff_action(
    description: str, *, permission: str, question: str, icon: str = ""
) -> Callable[[ActionView], ActionView]:
    """An action on one object, asked for before it runs (`core.admin_forms` for one with fields).

    ``permission`` names the class's ``has_…_permission``. unfold runs actions by GET; one that
    writes must not follow from a third party's link, so GET shows ``question`` with a button, and
    only POST, with its CSRF token, acts.
    """

    def decorate(act: ActionView) -> ActionView:
        @wraps(act)
        def ask(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method == "POST":
                return act(self, request, object_id)
            row = self.found(request, object_id)
            context = {
                **self.admin_site.each_context(request),
                "title": description,
                "subtitle": str(row),
                "opts": self.model._meta,
                "about": self.about(row),
                "text": question,
                "back": self.address_of(object_id),
            }
            return TemplateResponse(request, "admin/form_action.html", context)

        made: ActionView = unfold_action(
            description=description, permissions=[permission], icon=icon or None
        )(ask)
        return made

    return decorate


class _Plain:
    """A model's field in words: money with its currency, the mode, yes or no.

    A column and a line of a page alike; both are sorted and explained as the field itself.
    """

    def __init__(self, page: ReadOnlyAdmin, field: Field[Any, Any]) -> None:
        self._page = page
        self._field = field
        # Django finds the field's help text by this name; an amount shown in words needs no unit.
        has_help = field.help_text and field.help_text != "Minor units."
        self.__name__ = field.name if has_help else f"plain_{field.name}"
        self.admin_order_field = field.name
        self.short_description = (
            "Mode"
            if field.name == "livemode"
            else str(field.verbose_name).removesuffix(" minor").capitalize()
        )

    def __call__(self, row: Any) -> Any:
        value = getattr(row, self._field.name)
        if value is None:
            return None
        if self._field.name == "livemode":
            return "Live" if value else "Test"
        if isinstance(self._field, BooleanField):
            return "Yes" if value else "No"
        return format_money(value, self._page.currency_for(row, self._field.name))


class ReadOnlyAdmin(FoundById):
    """Lists and shows; adds, changes and deletes nothing. All of it needs ``view_permission``."""

    view_permission: ClassVar[str] = STAFF
    #: Fields that a method shows instead, in lists and pages; an empty name leaves one out.
    shown_as: ClassVar[Mapping[str, str]] = {}
    #: Fields in minor units that do not say so by their names (``…_minor``).
    money: ClassVar[frozenset[str]] = frozenset()

    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    # Counting a big table, filtered or not, would cost more than the page.
    paginator = InfinitePaginator
    show_full_result_count = False
    warn_unsaved_form = False
    compressed_fields = True

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the list and the pages open."""
        return allowed(request, self.view_permission)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the overview names this model."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: a service makes rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: a service changes rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The lines of a page, in words (`shown_as`, `money`)."""
        return self._in_words(super().get_fields(request, obj))

    def get_list_display(self, request: HttpRequest) -> Any:
        """The columns, in the same words."""
        return self._in_words(super().get_list_display(request))

    def about(self, row: Any) -> str | SafeString:
        """What a person should know of the object before an action; nothing by default."""
        return ""

    def currency_for(self, row: Any, name: str) -> str:
        """The currency of an amount of a row."""
        return str(row.currency)

    def _in_words(self, names: Iterable[Any]) -> list[Any]:
        shown = (self._in_word(name) for name in names)
        return [name for name in shown if name]

    def _in_word(self, name: Any) -> Any:
        name = self.shown_as.get(name, name)
        field = self._columns().get(name)
        if field is None:
            return name
        plain = isinstance(field, BooleanField) or name in self.money
        plain = plain or (name.endswith("_minor") and "currency" in self._columns())
        return _Plain(self, field) if plain else name

    def _columns(self) -> dict[Any, Field[Any, Any]]:
        return {field.name: field for field in self.model._meta.fields}

    def done(self, request: HttpRequest, object_id: Any, message: str) -> HttpResponse:
        """Say what an action did and go back to the object."""
        messages.success(request, message)
        return redirect(self.address_of(object_id))

    def address_of(self, object_id: Any) -> str:
        """The page of one object."""
        meta = self.model._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[object_id])

    def found(self, request: HttpRequest, object_id: Any) -> Any:
        """The object of an action. Raises PermissionDenied where there is none to be seen."""
        row = self.get_object(request, str(object_id))
        if row is None:
            raise PermissionDenied("There is no such object.")
        return row


class SelectedActions(ReadOnlyAdmin):
    """Pages that offer some of their actions, depending on the object.

    The services refuse the others all the same: this is about not offering what they refuse.
    """

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """The names of the actions that the page of `row` offers to this person."""
        raise NotImplementedError

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Those of `actions_detail` that are `offered`."""
        row = self.get_object(request, str(object_id))
        names = () if row is None else self.offered(request, row)
        found: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        return [action for action in found if action.path in names]


class Operated(ModelAdmin):
    """Pages with actions of ``permission="operate"``, for who may put operations right."""

    def has_operate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether this person may."""
        return allowed(request, OPERATE)


def pretty_json(value: Any) -> SafeString:
    """A JSON value as an indented block; keys in order, text escaped."""
    if value is None:
        return format_html("{}", "—")
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', text)


#: How far back the audit log is searched for an action, for which it has no index.
_ACTIONS_OF: Final = timedelta(days=30)
_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin):
    """Who did what, newest first; append-only in the database too."""

    list_display = ("created_at", "action", "actor_label", "target", "ip", "livemode", "sealed")
    list_filter = (one_of("actor_kind", get_args(ActorKind)), "livemode", "created_at")
    uuid_columns = ()
    search_help_text = (
        "The id of an object (pay_…), a person (usr_…: what they did, too) or a request (req_…), "
        "or an action of the last 30 days (payment.capture)"
    )
    ordering = ("-id",)
    fields = (
        "created_at",
        "action",
        "target",
        "actor_kind",
        "actor_id",
        "actor_label",
        "ip",
        "request_id",
        "merchant_id",
        "reseller_id",
        "livemode",
        "shown_before",
        "shown_after",
        "sequence",
        "shown_hash",
    )
    readonly_fields = ("shown_before", "shown_after", "shown_hash")

    def matching(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord], text: str
    ) -> QuerySet[AuditRecord]:
        """By what it is about, by who did it, by the request, or of late by the action."""
        if text.startswith("req_"):
            return queryset.filter(of_request(text))
        if ids.is_public(text):
            wanted = Q(target=text)
            if text.startswith("usr_"):
                wanted |= Q(actor_kind="user", actor_id=text)
            return queryset.filter(wanted)
        # No index serves these: the newest records are read, and not those of all years.
        late = queryset.filter(id__gte=ids.first_id(timezone.now() - _ACTIONS_OF))
        return late.filter(Q(action=text) | Q(request_id=text))

    @admin.display(boolean=True, description="Sealed")
    def sealed(self, row: AuditRecord) -> bool:
        """Whether the record has its place in the hash chain."""
        return row.sealed_at is not None

    @admin.display(description="Before")
    def shown_before(self, row: AuditRecord) -> SafeString:
        """The state before."""
        return pretty_json(row.before)

    @admin.display(description="After")
    def shown_after(self, row: AuditRecord) -> SafeString:
        """The state after."""
        return pretty_json(row.after)

    @admin.display(description="Hash")
    def shown_hash(self, row: AuditRecord) -> str:
        """SHA-256 over the record and the one before it."""
        return bytes(row.hash).hex() if row.hash is not None else "—"


@admin.register(OutboxEvent)
class OutboxEventAdmin(Operated, ReadOnlyAdmin):
    """Events on their way; what is quarantined waits for a person."""

    list_display = ("created_at", "type", "aggregate", "attempts", "state", "last_error")
    list_filter = (
        ("delivered_at", admin.EmptyFieldListFilter),
        ("quarantined_at", admin.EmptyFieldListFilter),
        "livemode",
    )
    id_columns: ClassVar = {"evt": "pk", "mer": "merchant_id"}
    search_help_text = (
        "The id of an event (evt_…), of what it is about (pay_…, ref_…), of a merchant (mer_…) or "
        "a request (req_…), or a type (payment.completed)"
    )
    ordering = ("-id",)
    exclude = ("payload",)
    readonly_fields = ("shown_payload",)
    actions_detail: ClassVar = ["release"]

    @staff_action(
        "Release",
        permission="operate",
        question="The relay delivers this event again, with a new set of attempts. Mend first "
        "what made it fail.",
        icon="replay",
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give a quarantined event another chance."""
        event_release(event_id=UUID(object_id), actor=actor_of(request))
        return self.done(request, object_id, "Released. The relay takes it up in a moment.")

    def matching(
        self, request: HttpRequest, queryset: QuerySet[OutboxEvent], text: str
    ) -> QuerySet[OutboxEvent]:
        """By what it is about, by the request, or by type."""
        if text.startswith("req_"):
            return queryset.filter(of_request(text))
        if ids.is_public(text):
            return queryset.filter(Q(object_id=text) | Q(aggregate=text))
        return queryset.filter(type=text)

    @admin.display(description="State")
    def state(self, row: OutboxEvent) -> str:
        """In a word."""
        if row.quarantined_at is not None:
            return "quarantined"
        return "delivered" if row.delivered_at is not None else "waiting"

    @admin.display(description="Payload")
    def shown_payload(self, row: OutboxEvent) -> SafeString:
        """The public JSON of the object at that moment."""
        return pretty_json(row.payload)


@admin.register(InboxMessage)
class InboxMessageAdmin(Operated, ReadOnlyAdmin):
    """What providers sent; the raw bytes stay in the database."""

    list_display = ("received_at", "provider", "event_type", "reference", "state", "attempts")
    list_filter = (typed("provider"), "state", "received_at")
    uuid_columns = ()
    search_help_text = "The provider's id of the event, our reference in it, or a request (req_…)"
    ordering = ("-id",)
    exclude = ("raw", "headers")
    actions_detail: ClassVar = ["release"]

    @staff_action(
        "Release",
        permission="operate",
        question="The message is processed again, with a new set of attempts. Mend first what "
        "made it fail.",
        icon="replay",
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give a quarantined message another chance."""
        inbox_release(message_id=UUID(object_id), actor=actor_of(request))
        return self.done(request, object_id, "Released. A worker takes it up in a moment.")

    def matching(
        self, request: HttpRequest, queryset: QuerySet[InboxMessage], text: str
    ) -> QuerySet[InboxMessage]:
        """By the request, the provider's id, or our reference, in whole."""
        if text.startswith("req_"):
            return queryset.filter(of_request(text))
        return queryset.filter(Q(event_id=text) | Q(reference=text))

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxMessage]:
        """Without the bodies, which no column shows."""
        found: QuerySet[InboxMessage] = super().get_queryset(request)
        return found.defer("raw", "headers")


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    """What integrators called and what they were answered; neither bodies nor query strings."""

    view_permission = "requests.read"
    list_display = ("created_at", "method", "path", "status", "error_code", "duration_ms", "ip")
    list_filter = (one_of("method", _METHODS), "livemode")
    id_columns: ClassVar = {"mer": "merchant_id"}
    search_help_text = "A request's id (req_…), or a merchant's (mer_…)"
    ordering = ("-id",)

    def matching(
        self, request: HttpRequest, queryset: QuerySet[RequestLog], text: str
    ) -> QuerySet[RequestLog]:
        """One request."""
        return queryset.filter(of_request(text))
