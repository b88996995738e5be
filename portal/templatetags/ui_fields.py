"""The fields of forms, each with its label, hint and error. Loaded with `{% load ui %}`."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.icons import icon_svg
from portal.markup import attributes, rendered

register = template.Library()


def _field(kind: str, name: str, label: str, options: dict[str, Any]) -> SafeString:
    """One labelled control; hint and error are tied to it by aria-describedby."""
    hint, error = options.pop("hint", ""), options.pop("error", "")
    field_id = options.pop("id", "") or f"id_{name}"
    described = [f"{field_id}_{part}" for part, text in (("hint", hint), ("error", error)) if text]
    context = {key: options.pop(key, "") for key in ("value", "optional", "choices", "currency")}
    attrs = {
        **options,
        "aria_describedby": " ".join(described) or None,
        "aria_invalid": "true" if error else None,
    }
    return rendered(
        "field",
        {
            **context,
            "kind": kind,
            "name": name,
            "id": field_id,
            "label": label,
            "hint": hint,
            "error": error,
            "alert_icon": icon_svg("circle-alert"),
            "attrs": attributes(attrs),
        },
    )


@register.simple_tag
def text_field(name: str, label: str, **options: Any) -> SafeString:
    """A text input. Options: value, hint, error, optional, type, id, any attribute of <input>."""
    options.setdefault("type", "text")
    return _field("input", name, label, options)


@register.simple_tag
def area_field(name: str, label: str, **options: Any) -> SafeString:
    """A field of several lines."""
    return _field("textarea", name, label, options)


@register.simple_tag
def select_field(
    name: str, label: str, choices: Iterable[tuple[str, str]], **options: Any
) -> SafeString:
    """A choice of one; `choices` are pairs of value and text."""
    options["choices"] = list(choices)
    return _field("select", name, label, options)


@register.simple_tag
def money_field(name: str, label: str, currency: str, **options: Any) -> SafeString:
    """An amount as a person writes it, in major units, with its currency beside it."""
    options.setdefault("inputmode", "decimal")
    options.setdefault("autocomplete", "off")
    return _field("money", name, label, {**options, "type": "text", "currency": currency})


@register.simple_tag
def check_field(
    name: str,
    label: str,
    *,
    value: str = "on",
    type: str = "checkbox",  # noqa: A002 - the attribute's name in HTML
    hint: str = "",
    **attrs: Any,
) -> SafeString:
    """A checkbox, or a radio button by type="radio", with its words."""
    return format_html(
        '<label class="check"><input type="{}" name="{}" value="{}"{}>'
        '<span class="check-text"><span>{}</span>{}</span></label>',
        type,
        name,
        value,
        attributes(attrs),
        label,
        format_html('<span class="hint">{}</span>', hint) if hint else "",
    )


@register.simple_tag
def form_field(bound: BoundField, **attrs: Any) -> SafeString:
    """A field of a Django form with label, hint and error. Attributes go to the control."""
    widget = bound.field.widget
    kind = getattr(widget, "input_type", None) or type(widget).__name__.lower()
    css = {"select": "select", "textarea": "textarea", "checkbox": ""}.get(kind, "input")
    extra = {key.rstrip("_").replace("_", "-"): value for key, value in attrs.items()}
    extra["class"] = f"{css} {extra.get('class', '')} {widget.attrs.get('class', '')}".strip()
    return rendered(
        "form_field",
        {
            "bound": bound,
            "control": bound.as_widget(attrs=extra),
            "checkbox": kind == "checkbox",
            "alert_icon": icon_svg("circle-alert"),
        },
    )
