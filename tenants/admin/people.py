"""People, for the platform's staff: read, and changed alone or with a second person."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import (
    ReadOnlyAdmin,
    SelectedActions,
    actor_of,
    allowed,
    display,
    staff_action,
)
from core.admin_forms import FormView, ReasonForm, staff_form
from tenants.models import Level, Membership, Merchant, PersonChange, Reseller, Role, User
from tenants.models.people import PLATFORM_ROLES
from tenants.policies import PersonAction
from tenants.services import passwords
from tenants.services import people as services

Row = TypeVar("Row", bound=Model)

_SECOND_PERSON = (
    "For a colleague of the platform's staff this is a proposal that a second person confirms."
)
_STATES: dict[str, str] = {
    PersonChange.State.PROPOSED.value: "warning",
    PersonChange.State.CONFIRMED.value: "success",
    PersonChange.State.REJECTED.value: "danger",
}


class RoleForm(ReasonForm):
    """Another role for one of the staff, and why."""

    role = forms.ChoiceField(
        label="New role", choices=[(role.value, role.label) for role in PLATFORM_ROLES]
    )
    field_order = ("role", "reason")


def _changes(action: PersonAction, title: str, *, text: str, icon: str, done: str) -> FormView:
    """An action of `UserAdmin` that changes a person or proposes it; `done` ends the message."""

    @staff_form(
        title,
        permission="people",
        form=ReasonForm,
        text=f"{text} {_SECOND_PERSON}",
        icon=icon,
    )
    def change(
        self: ReadOnlyAdmin, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        waits = services.person_change(
            actor=actor_of(request), action=action, user_id=row.id, reason=given["reason"]
        )
        said = f"{row.email} {done}." if waits is None else _waits(waits)
        return self.done(request, object_id, said)

    return change


def _with_people(rows: QuerySet[Row], *people: str) -> QuerySet[Row]:
    """Rows with the people that these fields name, without the hashes of their passwords."""
    return rows.select_related(*people).defer(*(f"{name}__password" for name in people))


class PeopleActions(SelectedActions):
    """Pages with actions of ``permission="people"``; the services know who may do which."""

    def has_people_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Support and compliance help people in, keep them out and propose roles."""
        return allowed(request, "platform.users.write")


@admin.register(User)
class UserAdmin(PeopleActions):
    """People; never their passwords."""

    list_display = ("email", "name", "is_active", "is_staff", "last_login", "created_at")
    list_filter = ("is_staff", "is_active")
    id_columns: ClassVar = {User.PREFIX: "pk"}
    search_fields = ("email", "name")
    search_help_text = "A person's id (usr_…), or a part of the name or e-mail address"
    ordering = ("email",)
    fields = ("email", "name", "is_active", "is_staff", "last_login", "created_at", "belongs_to")
    readonly_fields = ("created_at", "belongs_to")
    actions_detail = ("send_reset", "reset_second_factor", "deactivate", "activate")

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """Either keeps out or lets in, as the person is now."""
        idle = "activate" if row.is_active else "deactivate"
        return [name for name in self.actions_detail if name != idle]

    @display(description="Member of")
    def belongs_to(self, row: User) -> str:
        """The tenants, with the role in each."""
        rows = Membership.objects.select_related("merchant", "reseller", "platform").filter(
            user=row
        )
        shown = []
        for membership in rows:
            tenant = membership.merchant or membership.reseller or membership.platform
            shown.append(f"{tenant} ({membership.role})")
        return ", ".join(shown) or "—"

    @staff_action(
        "Send a reset link",
        permission="people",
        question="The person gets a mail with a link for a new password.",
        icon="mail",
    )
    def send_reset(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mail the person a link for a new password."""
        row = self.found(request, object_id)
        passwords.password_reset_send(actor=actor_of(request), user_id=row.id)
        return self.done(request, object_id, f"A link is on its way to {row.email}.")

    reset_second_factor = _changes(
        PersonAction.RESET_SECOND_FACTOR,
        "Reset second factor",
        text="Check first who asks. Authenticator and recovery codes go.",
        icon="phonelink_erase",
        done="enrols a new authenticator next",
    )
    deactivate = _changes(
        PersonAction.DEACTIVATE,
        "Deactivate",
        text="The person is out with the next request.",
        icon="person_off",
        done="is deactivated",
    )
    activate = _changes(
        PersonAction.ACTIVATE,
        "Activate",
        text="The person may sign in again.",
        icon="person",
        done="is active",
    )


@admin.register(Membership)
class MembershipAdmin(PeopleActions):
    """Who sits where."""

    list_display = ("user", "role", "level", "merchant", "reseller", "only_granted", "created_at")
    list_filter = ("level", "role", "only_granted")
    list_select_related = ("user", "merchant", "reseller")
    id_columns: ClassVar = {
        Membership.PREFIX: "pk",
        User.PREFIX: "user_id",
        Merchant.PREFIX: "merchant_id",
        Reseller.PREFIX: "reseller_id",
    }
    search_fields = ("user__email", "merchant__name", "reseller__name")
    search_help_text = "An id (usr_…, mer_…, res_…), or a part of an e-mail address or name"
    ordering = ("-id",)
    actions_detail = ("change_role",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """With the people."""
        return _with_people(super().get_queryset(request), "user")

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """None for members of tenants: their own owners and admins change those."""
        return self.actions_detail if row.level == Level.PLATFORM else ()

    @staff_form(
        "Change role",
        permission="people",
        form=RoleForm,
        text="A second person has to confirm it.",
        initial=lambda row: {"role": row.role},
        icon="badge",
    )
    def change_role(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Propose another role for one of the staff."""
        row = self.found(request, object_id)
        waits = services.staff_role_change(
            actor=actor_of(request),
            membership_id=row.id,
            role=given["role"],
            reason=given["reason"],
        )
        said = "The role was changed." if waits is None else _waits(waits)
        return self.done(request, object_id, said)


@admin.register(PersonChange)
class PersonChangeAdmin(SelectedActions):
    """Changes to people that wait for a second person, and those that were decided."""

    list_display = ("created_at", "action", "user", "proposed_by", "shown_state", "expires_at")
    list_filter = ("state", "action")
    list_select_related = ("user", "proposed_by")
    id_columns: ClassVar = {PersonChange.PREFIX: "pk", User.PREFIX: ("user_id", "proposed_by_id")}
    search_fields = ("reason",)
    search_help_text = "The id of a proposal (pch_…) or a person (usr_…), or words of a reason"
    ordering = ("-id",)
    actions_detail = ("confirm", "reject")
    fields = (
        "action",
        "user",
        "new_role",
        "reason",
        "shown_state",
        "proposed_by",
        "created_at",
        "expires_at",
        "decided_by",
        "decided_at",
    )
    readonly_fields = ("created_at",)

    def has_confirm_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Staff; which of them is a second person, the service knows."""
        return allowed(request, "platform.users.confirm")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PersonChange]:
        """With the people."""
        return _with_people(super().get_queryset(request), "user", "proposed_by", "decided_by")

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """What this person may decide."""
        if row.state != PersonChange.State.PROPOSED:
            return ()
        actor = actor_of(request)
        if services.may_confirm(actor, row):
            return ("confirm", "reject") if row.expires_at > timezone.now() else ("reject",)
        return ("reject",) if actor.user_id == row.proposed_by_id else ()

    def about(self, row: Any) -> SafeString:
        """All that the second person has to weigh."""
        return format_html(
            "{} asks: {}. Reason: {}", row.proposed_by.email, _sentence(row), row.reason
        )

    @staff_action(
        "Confirm", permission="confirm", question="The change happens at once.", icon="check"
    )
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it happen."""
        row = services.person_change_confirm(actor=actor_of(request), change_id=UUID(object_id))
        return self.done(request, object_id, f"Done: {_sentence(row)}.")

    @staff_action("Reject", permission="confirm", question="The proposal is closed, nothing else.")
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close it, or take it back."""
        row = services.person_change_reject(actor=actor_of(request), change_id=UUID(object_id))
        return self.done(request, object_id, f"{row.public_id} is closed.")

    @display(description="State", label=_STATES)
    def shown_state(self, row: PersonChange) -> str:
        """The state as a coloured word; one that waited for too long says so."""
        waits = row.state == PersonChange.State.PROPOSED
        return "expired" if waits and row.expires_at <= timezone.now() else row.state


def _sentence(row: PersonChange) -> str:
    what = row.get_action_display().lower()
    role = f" to {Role(row.new_role).label}" if row.new_role else ""
    return f"{what}{role}, {row.user.email}"


def _waits(row: PersonChange) -> str:
    return f"{row.public_id} waits for a second person, under Changes to people."
