"""Actions of the admin that ask for something: a form, then a service; and secrets shown once.

    actions_list = ("sign_up",)

    @staff_form("Sign up a reseller", permission="tenants", form=ResellerForm)
    def sign_up(self, request, given, object_id):
        row = reseller_sign_up(actor=actor_of(request), **given)
        return self.done(request, row.pk, f"{row.name} is signed up.")

The service runs in the request's own transaction. What it refuses undoes everything and is said in
the form, which keeps what was typed (`Refilled`, taken by tenants.middleware.AdminScopeMiddleware).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action as unfold_action
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core.errors import AppError

FormView = Callable[[Any, HttpRequest, dict[str, Any], str | None], HttpResponse]


class LongText(forms.CharField):
    """A few sentences."""


class SecretText(forms.CharField):
    """A secret that goes in and never comes out: not even a refused form shows it again."""

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Browsers are asked not to keep it."""
        return {**super().widget_attrs(widget), "autocomplete": "off"}


class DayInput(UnfoldAdminSingleDateWidget):
    """The browser's own calendar: unfold's needs scripts that are on the pages of objects alone."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


#: unfold's look for the fields that our forms use; the narrower kind first.
_WIDGETS: tuple[tuple[type[forms.Field], Callable[[], forms.Widget]], ...] = (
    (forms.EmailField, UnfoldAdminEmailInputWidget),
    (forms.DateField, DayInput),
    (forms.DecimalField, UnfoldAdminDecimalFieldWidget),
    (forms.IntegerField, UnfoldAdminIntegerFieldWidget),
    (forms.BooleanField, UnfoldBooleanWidget),
    (LongText, UnfoldAdminTextareaWidget),
    (SecretText, UnfoldAdminPasswordWidget),
    (forms.CharField, UnfoldAdminTextInputWidget),
)


class Refilled(Exception):
    """Ends the request's transaction without a trace and answers with the form again."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__("the form is shown again")
        self.response = response


class StaffForm(forms.Form):
    """A form in the admin's look."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.ChoiceField | forms.ModelChoiceField):
                field.widget = UnfoldAdminSelectWidget(choices=field.choices)
                continue
            for kind, widget in _WIDGETS:
                if isinstance(field, kind):
                    made = widget()
                    made.attrs.update(field.widget_attrs(made))
                    made.is_required = field.required
                    field.widget = made
                    break


class ReasonForm(StaffForm):
    """The reason for an action, which the audit log keeps."""

    reason = LongText(
        max_length=500, help_text="Kept in the audit log, for the next person who looks at this."
    )


def staff_form(
    description: str,
    *,
    permission: str,
    form: type[StaffForm],
    text: str = "",
    initial: Callable[[Any], dict[str, Any]] | None = None,
    icon: str = "",
) -> Callable[[FormView], FormView]:
    """An action that asks first: GET draws the form, POST checks it and acts.

    ``permission`` names the class's ``has_…_permission``. In ``actions_detail`` the action is about
    one object, whose values ``initial`` puts into the form; in ``actions_list`` about none.
    """

    def decorate(act: FormView) -> FormView:
        @wraps(act)
        def ask(self: Any, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
            row = None if object_id is None else self.found(request, object_id)
            begin = initial(row) if initial is not None else None
            given = form(request.POST if request.method == "POST" else None, initial=begin)
            refused: AppError | None = None
            if request.method == "POST" and given.is_valid():
                try:
                    return act(self, request, given.cleaned_data, object_id)
                except AppError as error:
                    if isinstance(error.__cause__, DatabaseError):
                        # The transaction is lost, and no page can be drawn in it.
                        raise
                    refused = error
                    field = error.param if error.param in given.fields else None
                    given.add_error(field, error.message)
            meta = self.model._meta
            listed = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            context = {
                **self.admin_site.each_context(request),
                "title": description,
                "subtitle": "" if row is None else str(row),
                "opts": meta,
                "form": given,
                "about": "" if row is None else self.about(row),
                "text": text,
                "back": listed if object_id is None else self.address_of(object_id),
            }
            response = TemplateResponse(
                request, "admin/form_action.html", context, status=422 if given.errors else 200
            )
            if refused is not None:
                raise Refilled(response.render()) from refused
            return response

        made: FormView = unfold_action(
            description=description, permissions=[permission], icon=icon or None
        )(ask)
        return made

    return decorate


def show_once(
    admin: Any, request: HttpRequest, *, title: str, text: str, values: dict[str, str], back: str
) -> HttpResponse:
    """A page with what is never shown again (the admin's pages are cached nowhere)."""
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.model._meta,
        "text": text,
        "values": values,
        "back": back,
    }
    return TemplateResponse(request, "admin/shown_once.html", context)
